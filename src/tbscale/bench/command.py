"""The command that makes a record, written from its parameters: the same however it was run."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tbscale.engine.workload.job import INSTRUMENTS, check_repeats
from tbscale.errors import RunError

if TYPE_CHECKING:
    from tbscale.bench.measure import Request
    from tbscale.engine.workload.job import Scalar

Crop = tuple[int, int, int, int]  # (y0, y1, x0, x1), pixels
CROP = re.compile(r"(\d+):(\d+),(\d+):(\d+)")

# parameters of the notebook that have an option of their own
OPTIONS = (
    "image",
    "channel",
    "model",
    "diameter",
    "engine",
    "device",
    "crop",
    "repeats",
    "threads",
)


def profile_command(request: Request) -> list[str]:
    """`tbscale profile ...` with every option that is not at its default.

    The folder that the record goes to is left out: it does not change the measurement.
    """
    default = type(request)()
    words = ["tbscale", "profile"]
    if request.dataset is not None:
        words.append(request.dataset)
    elif request.image is not None:
        words.append(request.image)
    for name in OPTIONS:
        value = getattr(request, name)
        positional = name == "image" and request.dataset is None
        if value != getattr(default, name) and not positional:
            words += [f"--{name}", crop_text(value) if name == "crop" else str(value)]
    if request.warm_ups != default.warm_ups:
        words += ["--warm-ups", str(request.warm_ups)]
    if request.instruments != default.instruments:
        words += ["--instruments", ",".join(request.instruments)]
    if request.time_limit_s is not None:
        words += ["--time-limit", f"{request.time_limit_s:g}"]
    for name, setting in request.settings.items():
        words += ["--setting", f"{name}={setting}"]
    return words


def crop_text(crop: Crop) -> str:
    """A crop as the command line takes it.

    >>> crop_text((0, 512, 100, 612))
    '0:512,100:612'
    """
    y0, y1, x0, x1 = crop
    return f"{y0}:{y1},{x0}:{x1}"


def parse_crop(text: str) -> Crop:
    """(y0, y1, x0, x1) of a crop. RunError where the text is none.

    >>> parse_crop("0:512,100:612")
    (0, 512, 100, 612)
    """
    found = CROP.fullmatch(text.replace(" ", ""))
    if found is None:
        raise RunError(f"{text!r} is not a crop; pass Y0:Y1,X0:X1 in pixels, as 0:512,100:612")
    y0, y1, x0, x1 = (int(number) for number in found.groups())
    return y0, y1, x0, x1


def parse_instruments(text: str) -> tuple[str, ...]:
    """Names of passes between commas, `plain` first. RunError where one is unknown or plain is not.

    >>> parse_instruments("plain, scalene")
    ('plain', 'scalene')
    """
    names = tuple(name.strip() for name in text.split(","))
    unknown = sorted(set(names) - set(INSTRUMENTS))
    if unknown:
        raise RunError(f"no pass is called {unknown[0]!r}; choose from {', '.join(INSTRUMENTS)}")
    if names[0] != "plain" or len(set(names)) < len(names):
        raise RunError(f"{text!r} is no list of passes; begin with plain, and name each once")
    return names


def check_passes(
    instruments: str | None, repeats: int | None, warm_ups: int | None, time_limit_s: float | None
) -> None:
    """Refuse passes that measure nothing, before a kernel is started; None is a default.

    Raises
    ------
    RunError : says what was given, and what to pass
    """
    if instruments is not None:
        parse_instruments(instruments)
    check_repeats(1 if repeats is None else repeats, 0 if warm_ups is None else warm_ups)
    if time_limit_s is not None and not time_limit_s > 0:
        raise RunError(f"a time limit of {time_limit_s:g} s ends every pass; pass more than 0")


def parse_setting(text: str) -> tuple[str, Scalar]:
    """Name and value of `NAME=VALUE`; numbers, true, false and none are read as such.

    >>> parse_setting("flow_threshold=0.4"), parse_setting("resample=false")
    (('flow_threshold', 0.4), ('resample', False))
    """
    name, equals, value = text.partition("=")
    if not equals or not name.isidentifier():
        raise RunError(f"{text!r} sets nothing; pass NAME=VALUE, as flow_threshold=0.4")
    return name, parse_value(value)


def parse_value(text: str) -> Scalar:
    """A value as the command line writes it.

    >>> parse_value("3"), parse_value("1e-3"), parse_value("None"), parse_value("cpu")
    (3, 0.001, None, 'cpu')
    """
    words: dict[str, Scalar] = {"true": True, "false": False, "none": None}
    if text.lower() in words:
        return words[text.lower()]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
