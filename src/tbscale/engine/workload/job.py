"""What one process is asked to do."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

from tbscale.errors import RunError

Scalar = str | bool | int | float | None
INSTRUMENTS = ("plain", "scalene", "line_profiler")


def check_repeats(repeats: int, warm_ups: int) -> None:
    """RunError where nothing would be measured."""
    if repeats < 1 or warm_ups < 0:
        raise RunError(
            f"{repeats} repeats after {warm_ups} warm-ups measure nothing; "
            "pass at least 1 repeat and 0 warm-ups"
        )


@dataclass(frozen=True)
class Job:
    """One pass over one region of one plane.

    Attributes
    ----------
    engine : name in `tbscale.engine.workload.engines.ENGINES`
    image : path of an image that `tbscale.images.open` reads
    channel, channel2 : index or name; channel2 is the nuclear channel of a two-channel model
    level : pyramid level, 0 = full resolution
    crop : (y0, y1, x0, x1) pixels, or None for the whole plane
    model : name or path of weights; None is the default of `resolve_model`
    diameter : pixels; None is the diameter of the weights
    device : cpu, cuda or mps
    settings : parameters of the engine; absent ones take its defaults
    threads : threads of every library
    warm_ups, repeats : runs inside the process
    instrument : plain, scalene or line_profiler
    labels_out : where the labels of the last repeat go (TIFF), or None
    """

    engine: str
    image: str
    channel: int | str | None = None
    channel2: int | str | None = None
    level: int = 0
    crop: tuple[int, int, int, int] | None = None
    model: str | None = None
    diameter: float | None = None
    device: str = "cpu"
    settings: dict[str, Scalar] = field(default_factory=dict)
    threads: int = 1
    warm_ups: int = 1
    repeats: int = 3
    instrument: str = "plain"
    labels_out: str | None = None

    def to_json(self) -> str:
        """The text of a job file."""
        return json.dumps(asdict(self), indent=1)

    @classmethod
    def load(cls, path: Path) -> Job:
        """Read a job file. RunError where it names an unknown field."""
        document: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        unknown = sorted(set(document) - {one.name for one in fields(cls)})
        if unknown:
            raise RunError(f"{path} has unknown fields {', '.join(unknown)}; remove them")
        if document.get("crop") is not None:
            document["crop"] = tuple(document["crop"])
        return cls(**document)
