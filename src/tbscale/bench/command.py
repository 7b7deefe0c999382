"""The command that makes a record, written from its parameters: the same however it was run."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbscale.bench.measure import Request

# parameters of the notebook that have an option of their own
OPTIONS = ("image", "channel", "model", "diameter", "engine", "device", "crop", "repeats")


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
    if request.threads:
        words += ["--threads", str(request.threads)]
    for name, setting in request.settings.items():
        words += ["--setting", f"{name}={setting}"]
    return words


def crop_text(crop: tuple[int, int, int, int]) -> str:
    """A crop as the command line takes it.

    >>> crop_text((0, 512, 100, 612))
    '0:512,100:612'
    """
    y0, y1, x0, x1 = crop
    return f"{y0}:{y1},{x0}:{x1}"
