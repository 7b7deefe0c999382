"""Train the embedded weights: `python -m tbscale.engine.training --images DIR --work DIR`.

With `--images` the folder's images take half of the crops; without it all crops are synthetic.
Either way the run says which data it used, and writes that beside the weights.
"""

from __future__ import annotations

import argparse
import json
import logging
import sys
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from cellpose.models import CellposeModel

from tbscale.engine.fastnet.instructions import has_bfloat16
from tbscale.engine.training.augment import Pool
from tbscale.engine.training.data import (
    LabelledImage,
    draw_synthetic,
    find_pairs,
    prepare,
    prepare_all,
    prepare_synthetic,
    read_pairs,
    role_of,
)
from tbscale.engine.training.evaluate import mean_ap, score_all
from tbscale.engine.training.loop import Settings, Trainer, train
from tbscale.engine.weights import file_sha256, pack, resolve_model
from tbscale.errors import RunError, TbscaleError

logger = logging.getLogger("tbscale.training")

REAL_SHARE = 0.7
RELIT_SYNTHETIC, RELIT_REAL = 1.0, 0.3
TRAIN_SEED, VALIDATION_SEED = 1_000_000, 9_000_000


def share(text: str) -> float:
    """Read a share of 0 to 1; ArgumentTypeError says so of anything else."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no share; pass a number from 0 to 1")
    return value


def parse(arguments: list[str]) -> argparse.Namespace:
    """Read the command line."""
    parser = argparse.ArgumentParser(prog="python -m tbscale.engine.training", description=__doc__)
    parser.add_argument("--images", type=Path, help="folder with images/ and labels/")
    parser.add_argument("--work", type=Path, required=True, help="checkpoints; resumes from there")
    parser.add_argument("--out", type=Path, help="weights to write (.safetensors), default in work")
    parser.add_argument("--synthetic", type=int, default=600, help="synthetic images to draw")
    parser.add_argument("--validate", type=int, default=24, help="validation images of each kind")
    defaults = Settings()
    parser.add_argument("--crops", type=int, default=defaults.crops)
    parser.add_argument("--batch", type=int, default=defaults.batch, help="crops of a step")
    parser.add_argument("--seed", type=int, default=defaults.seed)
    parser.add_argument("--learning-rate", type=float, default=defaults.learning_rate)
    parser.add_argument("--weight-decay", type=float, default=defaults.weight_decay)
    parser.add_argument("--average-decay", type=float, default=defaults.average_decay)
    parser.add_argument("--device", default=defaults.device, help="cpu, cuda or mps")
    parser.add_argument(
        "--workers", type=int, default=0, help="processes that cut crops ahead of the network"
    )
    parser.add_argument(
        "--real-share", type=share, default=REAL_SHARE, help="of crops, from --images"
    )
    parser.add_argument(
        "--stored-share",
        type=share,
        default=0.0,
        help="of real crops, cut as they are stored: no pixel interpolated, not relit; of "
        "synthetic ones half as many",
    )
    parser.add_argument("--start", help="weights to train on: a model's name or file")
    parser.add_argument("--threads", type=int, default=defaults.threads)
    return parser.parse_args(arguments)


def load_pools(
    folder: Path | None,
    synthetic: int,
    workers: int = 0,
    real_share: float = REAL_SHARE,
    stored_share: float = 0.0,
) -> tuple[list[Pool], list[str]]:
    """Prepare what crops are cut from: synthetic tissue, and the real images where given.

    Parameters
    ----------
    workers : processes that do so; 0 for none beside this one
    real_share : of all crops, where a folder is given
    stored_share : of the real crops, those cut as they are stored; half of it of the others

    Returns
    -------
    pools, names of the real training images
    """
    real = [] if folder is None else list(read_pairs(folder, "train"))
    logger.info("drawing %d synthetic images and their flows", synthetic)
    seeds = range(TRAIN_SEED, TRAIN_SEED + synthetic)
    made = prepare_all(prepare_synthetic, seeds, workers)
    if folder is None:
        logger.info("no --images: training on synthetic images alone")
        return [Pool(made, 1.0, RELIT_SYNTHETIC, stored_share / 2)], []
    logger.info("preparing %d real training images of %s", len(real), folder)
    pools = [
        Pool(made, 1 - real_share, RELIT_SYNTHETIC, stored_share / 2),
        Pool(prepare_all(prepare, real, workers), real_share, RELIT_REAL, stored_share),
    ]
    return pools, [item.name for item in real]


def validate(trainer: Trainer, folder: Path | None, count: int) -> dict[str, tuple[float, ...]]:
    """Mean AP of the averaged network on validation images, through stock Cellpose."""
    kinds: dict[str, list[LabelledImage]] = {
        "synthetic": [draw_synthetic(VALIDATION_SEED + k, 300) for k in range(count)]
    }
    if folder is not None:
        kinds["real"] = list(read_pairs(folder, "validation"))[:count]
    with tempfile.NamedTemporaryFile(suffix=".pth") as file:
        torch.save(trainer.average.state_dict(), file.name)
        where = trainer.device
        model = CellposeModel(gpu=where.type != "cpu", pretrained_model=file.name, device=where)
    return {kind: mean_ap(score_all(model, items)) for kind, items in kinds.items()}


def command_of(options: argparse.Namespace) -> str:
    """How to train the same again; folders are left out."""
    words = ["python -m tbscale.engine.training"]
    words += ["--images DIR"] if options.images else []
    words += ["--work DIR", f"--crops {options.crops}", f"--batch {options.batch}"]
    words += [f"--synthetic {options.synthetic}", f"--learning-rate {options.learning_rate:g}"]
    words += [f"--weight-decay {options.weight_decay:g}"]
    words += [f"--average-decay {options.average_decay:g}", f"--seed {options.seed}"]
    words += [f"--real-share {options.real_share:g}"] if options.images else []
    words += [f"--stored-share {options.stored_share:g}"] if options.stored_share else []
    words += [f"--device {options.device}"] if options.device != "cpu" else []
    words += [f"--start {Path(options.start).name}"] if options.start else []
    return " ".join(words)


def begin(trainer: Trainer, checkpoint: Path, start: str | None) -> None:
    """Continue from a checkpoint, or begin with the weights that are asked for.

    Raises
    ------
    RunError : the checkpoint is of another training
    """
    weights = resolve_model(start) if start else None
    if checkpoint.is_file():
        trainer.load(checkpoint)
        if weights is not None and weights.sha256 != trainer.started_from:
            raise RunError(
                f"{checkpoint} did not start from {start}; pass another --work, or no --start"
            )
        logger.info("continuing at step %d of %d", trainer.done, trainer.settings.steps)
    elif weights is not None:
        trainer.start_from(weights)
        logger.info("starting from %s, sha256 %s", weights.name, weights.sha256)


def name_of(device: torch.device) -> str:
    """The GPU's name, or that of the device."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def facts_of(trainer: Trainer, options: argparse.Namespace, names: list[str]) -> dict[str, Any]:
    """What the weights were made of, JSON values; `names` are the real training images."""
    pairs = find_pairs(options.images) if options.images else []
    return {
        "settings": asdict(trainer.settings),
        "crops_done": trainer.done * trainer.settings.batch,
        "wall_s": trainer.wall_s,
        "trained_on": name_of(trainer.device),
        "synthetic_images": options.synthetic,
        "real_share": options.real_share if names else 0.0,
        "stored_share": options.stored_share,
        "started_from": trainer.started_from,
        "real_training_images": names,
        "real_test_images": [path.stem for path, _ in pairs if role_of(path.stem) == "test"],
        "torch": torch.__version__,
        "command": command_of(options),
    }


def main(arguments: list[str]) -> None:
    """Train, validate, write the weights and what they were made of."""
    options = parse(arguments)
    settings = Settings(
        crops=options.crops,
        batch=options.batch,
        learning_rate=options.learning_rate,
        weight_decay=options.weight_decay,
        average_decay=options.average_decay,
        seed=options.seed,
        threads=options.threads,
        bfloat16=options.device != "cpu" or has_bfloat16(),
        device=options.device,
    )
    trainer = Trainer(settings)
    checkpoint = options.work / "checkpoint.pt"
    begin(trainer, checkpoint, options.start)
    pools, names = load_pools(
        options.images,
        options.synthetic,
        options.workers,
        options.real_share,
        options.stored_share,
    )
    options.work.mkdir(parents=True, exist_ok=True)
    losses = train(trainer, pools, checkpoint, options.workers)
    ap = validate(trainer, options.images, options.validate)
    logger.info("validation AP at IoU 0.5, 0.75, 0.9: %s", ap)
    out = options.out or options.work / "nuclear.safetensors"
    pack(trainer.average.state_dict(), out)
    measured = {"weights_sha256": file_sha256(out), "losses": losses, "validation_ap": ap}
    facts = facts_of(trainer, options, names) | measured
    out.with_suffix(".json").write_text(json.dumps(facts, indent=1) + "\n")
    logger.info("wrote %s, %d bytes", out, out.stat().st_size)


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stderr)
    try:
        main(sys.argv[1:])
    except TbscaleError as error:
        raise SystemExit(f"tbscale: {error}") from None
