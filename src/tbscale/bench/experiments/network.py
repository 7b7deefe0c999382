"""What each way to run the network takes on this CPU, in interleaved rounds, and how it rounds.

The labels of the modes are graded by the profiles; here it is the network alone: time of a tile,
error against float64, and how Winograd's transforms round by their points.
"""

from __future__ import annotations

from dataclasses import dataclass

from tbscale.bench.experiments.lab import About, Json, Lab, all_threads, open_lab, seal_experiment
from tbscale.bench.experiments.winograd_points import POINTS, rounding
from tbscale.bench.schema import Record
from tbscale.engine.workload.job import Job
from tbscale.errors import RunError

CANDIDATES = "tbscale.engine.workload.network_candidates"
DATASET = "exemplar-001"


@dataclass(frozen=True)
class NetworkRequest:
    """What to measure.

    Attributes
    ----------
    candidates : names to run; none is all that are installed
    tiles, tile_px : of a batch
    rounds : each gives every candidate the batch, to warm up and on the clock
    size_px : side of the crop that stands for the dataset in the record
    """

    candidates: tuple[str, ...] = ()
    tiles: int = 8
    tile_px: int = 224
    rounds: int = 7
    size_px: int = 256

    @property
    def command(self) -> str:
        """How to make the record again."""
        given = f" --candidates {','.join(self.candidates)}" if self.candidates else ""
        return (
            f"python benchmarks/network.py --tiles {self.tiles} --tile-px {self.tile_px} "
            f"--rounds {self.rounds}{given}"
        )


def check_candidates(names: tuple[str, ...]) -> None:
    """Refuse names that nothing has, before anything is measured.

    Raises
    ------
    RunError : says which, and what to choose from
    """
    from tbscale.engine.workload.network_candidates import candidates, draw_tiles

    known = candidates(draw_tiles(0, 0), 1)  # says how to make each, and makes none
    for name in names:
        if name not in known:
            raise RunError(f"no candidate is called {name!r}; choose from {', '.join(known)}")


def measure_network(request: NetworkRequest) -> Record:
    """Measure every candidate and make the record.

    Raises
    ------
    RunError : an unknown candidate
    """
    check_candidates(request.candidates)
    with open_lab() as lab:
        asked = {
            "candidates": request.candidates,
            "tiles": request.tiles,
            "tile_px": request.tile_px,
            "rounds": request.rounds,
            "threads": all_threads(),
        }
        note_candidates(lab, lab.ask(CANDIDATES, asked))
        for near, far in POINTS:
            lab.note("winograd-rounding", f"points/{near:.4g},{far:.4g}", rounding(near, far), "1")
        about = About(
            "network", DATASET, "stand-in", _run_once(lab, request.size_px), "tbscale-fast",
            {"tiles": request.tiles, "tile_px": request.tile_px, "rounds": request.rounds,
             "threads": all_threads()},
            request.command,
        )  # fmt: skip
        return seal_experiment(about, lab)


def note_candidates(lab: Lab, found: Json) -> None:
    """Note times, errors, and the ratio to the reference round by round."""
    timed = found["candidates"]
    base = timed.get("reference")
    for name, one in timed.items():
        lab.note("ready", name, one["ready_s"], "s", "local")
        lab.note("largest-error", name, one["largest_error"], "1")
        lab.note("rms-error", name, one["rms_error"], "1")
        for faults in one["faults"]:
            lab.note("page-faults", name, faults, "count", "local")
        for round_, seconds in enumerate(one["tile_s"]):
            lab.note("tile", name, seconds, "s", "local")
            if base is not None:
                lab.note("speedup", name, base["tile_s"][round_] / seconds, "1", "local")
    lab.note("left-out", "candidates", len(found["left_out"]), "count")


def _run_once(lab: Lab, size_px: int) -> Json:
    """One small run, whose dataset and weights the record names."""
    image = lab.middle_of(DATASET, (size_px, size_px), "crop")
    job = Job("tbscale-fast", str(image), 0, threads=all_threads(), warm_ups=0, repeats=1)
    return lab.run("whole-run", job)
