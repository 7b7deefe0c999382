"""Which weights the network runs with: embedded, Cellpose's own by name, or a file.

The embedded weights are stored as float16 safetensors and unpacked once, into the user's cache,
as a file that stock Cellpose loads.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tbscale.errors import WeightsError
from tbscale.images.compiled import user_cache

if TYPE_CHECKING:
    import torch
    from cellpose.models import CellposeModel
    from cellpose.resnet_torch import CPnet

logger = logging.getLogger(__name__)

EMBEDDED = "embedded"
PREFERRED = "nuclei"
EMBEDDED_FILE = Path(__file__).parent / "embedded" / "nuclear.safetensors"
CHANNELS = (2, 32, 64, 128, 256)  # of the inputs and of each level
OUTPUTS = 3
NUCLEI_FILE = "nucleitorch_0"  # of the nuclei model: cellpose.models.model_path
FINAL_LAYER = "output.2.weight"


@dataclass(frozen=True)
class Weights:
    """Weights that have been found.

    Attributes
    ----------
    name : as the user gave it, or "embedded"
    path : the file that stock Cellpose loads
    builtin : True for a model that Cellpose knows by name
    sha256 : of that file; for embedded weights, of the safetensors file
    """

    name: str
    path: Path
    builtin: bool
    sha256: str


def file_sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def cache_folder() -> Path:
    """Where unpacked weights are kept: TBSCALE_CACHE, else tbscale in the user's cache."""
    if own := os.environ.get("TBSCALE_CACHE"):
        return Path(own)
    return user_cache()


def embedded_weights() -> Path:
    """Path of the embedded weights as a file that `CellposeModel(pretrained_model=path)` loads.

    Unpacked from float16 to float32 at the first call; later calls only look.

    Raises
    ------
    WeightsError : the package was installed without the weights, or there is no place for them
    """
    if not EMBEDDED_FILE.is_file():
        raise WeightsError(
            f"the embedded weights {EMBEDDED_FILE.name} are not installed; reinstall tbscale "
            "or pass --model PATH"
        )
    target = cache_folder() / f"embedded-{file_sha256(EMBEDDED_FILE)[:16]}.pth"
    if not target.is_file():
        try:
            _unpack(EMBEDDED_FILE, target)
        except OSError as error:
            raise WeightsError(
                f"the embedded weights cannot be unpacked into {target.parent} "
                f"({error.strerror}); set TBSCALE_CACHE to a folder that can be written to"
            ) from error
    return target


def _unpack(source: Path, target: Path) -> None:
    import torch
    from safetensors.torch import load_file

    state = {k: v.float() if v.is_floating_point() else v for k, v in load_file(source).items()}
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, partial = tempfile.mkstemp(dir=target.parent, suffix=".partial")
    os.close(handle)
    try:
        torch.save(state, partial)
        Path(partial).replace(target)
    finally:
        Path(partial).unlink(missing_ok=True)


def pack(state: dict[str, torch.Tensor], target: Path) -> None:
    """Write a state dict as safetensors: kernels in float16, everything else as it is.

    Biases and normalisation statistics stay float32: they are small and their range is wide.
    """
    import torch
    from safetensors.torch import save_file

    packed = {
        name: (v.to(torch.float16) if v.ndim >= 2 else v).contiguous() for name, v in state.items()
    }
    partial = target.with_suffix(".partial")
    save_file(packed, partial)
    Path(partial).replace(target)


def known_names() -> list[str]:
    """Names that Cellpose knows: its own models and those the user added to its folder."""
    from cellpose import models

    return [*dict.fromkeys([*models.MODEL_NAMES, *models.get_user_models()])]


def models_folder() -> Path:
    """Where Cellpose keeps its weights: `cellpose.models.MODEL_DIR`, without importing it.

    That import compiles kernels of its own for seconds and holds their memory.
    """
    if own := os.environ.get("CELLPOSE_LOCAL_MODELS_PATH"):
        return Path(own)
    return Path.home() / ".cellpose" / "models"


def default_name() -> str:
    """`nuclei` where Cellpose's weights are on disk, else `embedded`; says so in one line."""
    if (models_folder() / NUCLEI_FILE).is_file():
        logger.info("model: nuclei, found in %s", models_folder())
        return PREFERRED
    logger.info("model: embedded nuclear weights (Cellpose's own are not on disk)")
    return EMBEDDED


def resolve_model(name: str | None = None) -> Weights:
    """Find the weights that `name` means.

    Parameters
    ----------
    name : None for the default, "embedded", a name that Cellpose knows (fetched by Cellpose at
        first use; CELLPOSE_LOCAL_MODELS_PATH is respected), or a path of a weights file

    Raises
    ------
    WeightsError : unknown name, no network for a first use, or a file that is not weights
    """
    name = name or default_name()
    if name == EMBEDDED:
        return Weights(name, embedded_weights(), False, file_sha256(EMBEDDED_FILE))
    if Path(name).is_file():
        check_weights(Path(name))
        return Weights(name, Path(name), False, file_sha256(Path(name)))
    if name not in known_names():
        raise WeightsError(
            f"no model and no file is called {name!r}; choose {EMBEDDED}, "
            f"{', '.join(known_names())}, or pass the path of a weights file"
        )
    path = _builtin_path(name)
    return Weights(name, path, True, file_sha256(path))


def _builtin_path(name: str) -> Path:
    from cellpose import models

    try:
        return Path(models.model_path(name))
    except OSError as error:
        raise WeightsError(
            f"the weights of {name!r} are not in {models.MODEL_DIR} and could not be fetched "
            f"({error}); put them there, or pass --model {EMBEDDED}"
        ) from error


def read_state(path: Path) -> dict[str, Any]:
    """Read a state dict without running any code stored in the file.

    Raises
    ------
    WeightsError : not a state dict
    """
    import torch

    try:
        state = torch.load(path, map_location="cpu", weights_only=True)
    except (pickle.UnpicklingError, RuntimeError, EOFError, ValueError, KeyError) as error:
        raise WeightsError(
            f"{path} is not a weights file that torch can load; pass a file that Cellpose 3 saved"
        ) from error
    if not isinstance(state, dict):
        raise WeightsError(
            f"{path} holds a {type(state).__name__}, not weights; pass a file that Cellpose 3 saved"
        )
    return state


def check_weights(path: Path) -> None:
    """Refuse a file that is not weights of the Cellpose 3 convolutional network.

    Raises
    ------
    WeightsError : unreadable, of Cellpose 4, or of another network
    """
    state = read_state(path)
    if "W2" in state:  # the mark by which Cellpose 3 itself knows them
        raise WeightsError(f"{path} holds Cellpose 4 weights; pass weights of Cellpose 3 or older")
    if FINAL_LAYER not in state:
        raise WeightsError(
            f"{path} has no layer {FINAL_LAYER!r}, so it is not of the Cellpose 3 network; "
            "pass a file that Cellpose 3 saved"
        )


def load_net(weights: Weights, device: str = "cpu") -> CPnet:
    """Make the network alone, as `CellposeModel` makes it: ready to run, on its device.

    Parameters
    ----------
    device : "cpu", "cuda" or "mps", as torch names it
    """
    import torch
    from cellpose.resnet_torch import CPnet

    where = torch.device(device)
    onednn = where.type == "cpu" and torch.backends.mkldnn.is_available()  # type: ignore[no-untyped-call]
    net = CPnet(list(CHANNELS), OUTPUTS, sz=3, mkldnn=onednn).to(where)
    net.load_model(str(weights.path), device=where)
    return net.eval()


def load_model(weights: Weights, device: str = "cpu") -> CellposeModel:
    """Make stock Cellpose's `CellposeModel` with these weights.

    Parameters
    ----------
    device : "cpu", "cuda" or "mps", as torch names it
    """
    import torch
    from cellpose import models

    where = torch.device(device)
    on_gpu = where.type != "cpu"
    if weights.builtin:
        return models.CellposeModel(gpu=on_gpu, model_type=weights.name, device=where)
    return models.CellposeModel(gpu=on_gpu, pretrained_model=str(weights.path), device=where)
