"""Reading, writing and tabulating beside the codecs alone, and what each codec makes of a chunk.

Interleaved rounds in one process, on a stand-in: 2 jobs a round for each kind of work, ours and
the codec's part of it, by as many threads.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job
from tbscale.images.standin.writer import labels_path

SPEEDS = "tbscale.engine.workload.file_speeds"
ENGINE = "tbscale-fast"


@dataclass(frozen=True)
class FilesRequest:
    """What to measure.

    Attributes
    ----------
    dataset : whose geometry the stand-in has
    size_px : side of the piece that is read and written
    rounds : each does every job once, and the codec's part of it
    """

    dataset: str = "exemplar-001"
    size_px: int = 2500
    rounds: int = 7

    @property
    def command(self) -> str:
        """How to make the record again."""
        return (
            f"python benchmarks/files.py --dataset {self.dataset} --size-px {self.size_px} "
            f"--rounds {self.rounds}"
        )


def measure_files(request: FilesRequest) -> Record:
    """Measure and make the record."""
    with open_lab() as lab:
        size = (request.size_px, request.size_px)
        image = lab.middle_of(request.dataset, size, "piece")
        asked = {
            "image": str(image),
            "labels": str(labels_path(image)),
            "rounds": request.rounds,
            "threads": all_threads(),
        }
        # first, because files are slow to make where a run has just removed its scratch
        note_speeds(lab, lab.ask(SPEEDS, asked))
        job = Job(ENGINE, str(image), 0, threads=all_threads(), warm_ups=0, repeats=1)
        report = lab.run("whole-run", job)
        about = About(
            "files", request.dataset, "stand-in", report, ENGINE,
            {"size_px": request.size_px, "rounds": request.rounds, "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def note_speeds(lab: Lab, found: Json) -> None:
    """Note times, and the share of the codec's speed that is reached, round by round."""
    for name, rounds in found["jobs"].items():
        for one in rounds:
            lab.note("ours", f"job/{name}", one["ours_s"], "s", "local")
            lab.note("codec", f"job/{name}", one["codec_s"], "s", "local")
            lab.note("of-codec", f"job/{name}", one["codec_s"] / one["ours_s"], "1", "local")
    for one in found["compressions"]:
        subject = f"codec/{one['kind']}/{one['codec']}"
        lab.note("share-of-bytes", subject, one["share"], "1")
        lab.note("encoded-bytes-per-s", subject, one["bytes_per_s"], "bytes/s", "local")
