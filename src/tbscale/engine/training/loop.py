"""The training loop: AdamW on Cellpose's loss, bfloat16 where the device has it, resumable.

The learning rate rises, stays, then falls to zero over the last part of the run, so that a run
can be continued with another length. The weights kept are a running average of the trained ones.
"""

from __future__ import annotations

import copy
import logging
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from cellpose.resnet_torch import CPnet
from torch import nn
from torch.nn import functional
from tqdm import tqdm

from tbscale.engine.allocator import keep_freed
from tbscale.engine.device import check_device
from tbscale.engine.network_memory import layer_bytes
from tbscale.engine.training.augment import CROP_PX, Pool
from tbscale.engine.training.batches import Batch, Batches, load_batches
from tbscale.engine.weights import Weights, read_state
from tbscale.errors import RunError

logger = logging.getLogger(__name__)

NBASE = (2, 32, 64, 128, 256)
DIAM_MEAN_PX = 17.0
RISE_STEPS = 60
FALL_SHARE = 0.4
CHECKPOINT_S = 60.0


@dataclass(frozen=True)
class Settings:
    """What a training run is made of."""

    crops: int = 16000
    batch: int = 8
    learning_rate: float = 2e-3
    weight_decay: float = 1e-3
    average_decay: float = 0.995
    seed: int = 0
    threads: int = 2
    bfloat16: bool = True
    device: str = "cpu"

    @property
    def steps(self) -> int:
        """Number of batches."""
        return self.crops // self.batch


def make_network() -> CPnet:
    """Make the unmodified Cellpose 3 network, `diam_mean` 17 px."""
    return CPnet(list(NBASE), 3, sz=3, mkldnn=False, max_pool=True, diam_mean=DIAM_MEAN_PX)


def learning_rate(step: int, settings: Settings) -> float:
    """Rise linearly, stay, then fall linearly to zero over the last FALL_SHARE of the steps."""
    rise = min(1.0, (step + 1) / RISE_STEPS)
    fall = min(1.0, (settings.steps - step) / (FALL_SHARE * settings.steps))
    return settings.learning_rate * min(rise, fall)


def loss_of(y: torch.Tensor, flow: torch.Tensor, cell: torch.Tensor) -> torch.Tensor:
    """Half the mean squared error of the flow plus the cross entropy of the cell probability.

    The loss of Stringer et al. 2021 (doi 10.1038/s41592-020-01018-x).
    """
    return functional.mse_loss(y[:, :2], flow) / 2 + functional.binary_cross_entropy_with_logits(
        y[:, 2], cell
    )


class Trainer:
    """Network, its running average, optimiser and step counter; saved and loaded as one."""

    def __init__(self, settings: Settings) -> None:
        torch.manual_seed(settings.seed)
        torch.set_num_threads(settings.threads)
        self.settings = settings
        self.device = check_device(settings.device)
        torch.backends.cudnn.benchmark = True  # crops are all of one size
        self.network = make_network().to(self.device, memory_format=torch.channels_last)
        self.average = copy.deepcopy(self.network)
        self.optimiser = torch.optim.AdamW(
            self.network.parameters(),
            lr=settings.learning_rate,
            weight_decay=settings.weight_decay,
        )
        self.done = 0
        self.wall_s = 0.0
        self.started_from: str | None = None

    def start_from(self, weights: Weights) -> None:
        """Take weights that Cellpose reads, and train on from there."""
        state = read_state(weights.path)
        self.started_from = weights.sha256
        known = self.network.state_dict()
        self.network.load_state_dict({name: state[name] for name in known})
        self.average.load_state_dict(self.network.state_dict())

    def step(self, batch: Batch) -> torch.Tensor:
        """Train on one batch; return its loss, which a GPU may still be working at."""
        image, flow, cell = (part.to(self.device, non_blocking=True) for part in batch)
        image = image.to(memory_format=torch.channels_last)
        for group in self.optimiser.param_groups:
            group["lr"] = learning_rate(self.done, self.settings)
        self.network.train()
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.settings.bfloat16):
            y = self.network(image)[0]
        loss = loss_of(y.float(), flow, cell)
        self.optimiser.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        nn.utils.clip_grad_norm_(self.network.parameters(), 1.0)
        self.optimiser.step()
        self.done += 1
        self._follow_average()
        return loss.detach()

    @torch.no_grad()
    def _follow_average(self) -> None:
        decay = min(self.settings.average_decay, self.done / (self.done + 10))
        new = self.network.state_dict()
        for name, value in self.average.state_dict().items():
            if value.is_floating_point():
                value.lerp_(new[name].to(value.dtype), 1 - decay)
            else:
                value.copy_(new[name])

    def save(self, path: Path) -> None:
        """Write a checkpoint, complete or not at all."""
        state: dict[str, Any] = {
            "network": self.network.state_dict(),
            "average": self.average.state_dict(),
            "optimiser": self.optimiser.state_dict(),
            "done": self.done,
            "wall_s": self.wall_s,
            "started_from": self.started_from,
            "settings": asdict(self.settings),
        }
        partial = path.with_suffix(".partial")
        torch.save(state, partial)
        partial.replace(path)

    def load(self, path: Path) -> None:
        """Continue from a checkpoint of `save`.

        Raises
        ------
        RunError : it was made with other settings; the number of crops alone may differ
        """
        state = torch.load(path, weights_only=True, map_location=self.device)
        before, now = state["settings"], asdict(self.settings)
        changed = [n for n in now if n not in ("crops", "device") and before.get(n) != now[n]]
        if changed:
            said = ", ".join(f"{n} was {before.get(n)}, is {now[n]}" for n in changed)
            raise RunError(f"{path} is of another training ({said}); pass another --work")
        self.started_from = state["started_from"]
        self.network.load_state_dict(state["network"])
        self.average.load_state_dict(state["average"])
        self.optimiser.load_state_dict(state["optimiser"])
        self.done = int(state["done"])
        self.wall_s = float(state["wall_s"])


def train(
    trainer: Trainer, pools: list[Pool], checkpoint: Path, workers: int = 0
) -> list[tuple[int, float]]:
    """Train to the end of the settings, with a progress bar and a checkpoint about every minute.

    Parameters
    ----------
    workers : processes that cut crops ahead of the network; 0 cuts them between its steps

    Returns
    -------
    losses : (step, mean loss over the last 100 steps)
    """
    losses: list[tuple[int, float]] = []
    recent: list[torch.Tensor] = []
    total = trainer.settings.steps
    started = time.perf_counter() - trainer.wall_s
    saved_s = trainer.wall_s
    with keep_freed(layer_bytes(trainer.settings.batch, CROP_PX)):
        cut = Batches(pools, trainer.settings.batch, trainer.settings.seed)
        steps = range(trainer.done, total)
        batches = load_batches(cut, steps, workers, trainer.device.type == "cuda")
        for batch in tqdm(batches, initial=trainer.done, total=total, unit="batch"):
            recent.append(trainer.step(batch))
            trainer.wall_s = time.perf_counter() - started
            if trainer.done % 100 == 0 or trainer.done == total:
                losses.append((trainer.done, float(torch.stack(recent).mean())))
                logger.info("step %d of %d, loss %.4f", trainer.done, total, losses[-1][1])
                recent.clear()
                if trainer.wall_s - saved_s > CHECKPOINT_S or trainer.done == total:
                    trainer.save(checkpoint)
                    saved_s = trainer.wall_s
    return losses
