"""Cellpose 3 and tbscale, step by step after the network, on a plane in memory.

Every engine has the same five steps; each takes what the engine's own step before it gave. The
times of a step thus include the conversions that the engine needs between steps.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from cellpose import dynamics, utils
from numpy.typing import NDArray

from tbscale.engine.cells import Rules
from tbscale.engine.kernels.choice import Kernels
from tbscale.engine.masks import label_sinks, masks_of, narrow, number_kept, whole_of
from tbscale.engine.owned import ArrayLabels
from tbscale.engine.result import finish_labels, with_zero
from tbscale.engine.scratch import mask_flow

STEPS = ("follow", "seeds", "flow_qc", "fill", "together")
NITER = 200
RULES = Rules()
CPU = torch.device("cpu")
Floats = NDArray[np.float32]


class Engine(Protocol):
    """One engine on one plane."""

    def run(self, step: str) -> Any:
        """Do a step; its input is the output of the step before, which `keep` was given."""
        ...

    def keep(self, step: str, output: Any) -> None:
        """Remember the output of a step as the input of the next."""
        ...

    def show(self, step: str, output: Any) -> NDArray[Any]:
        """The output in a form that all engines share: sinks (2, n) or labels (Y, X)."""
        ...


class Cellpose3:
    """Cellpose 3.1.1.3 on a CPU: its own functions in its own order."""

    def __init__(self, flow: Floats, cellprob: Floats) -> None:
        self.flow, self.cellprob = flow, cellprob
        self.inds = np.nonzero(cellprob > 0)
        self.kept: dict[str, Any] = {}

    def run(self, step: str) -> Any:
        """See `Engine`."""
        if step == "follow":
            moving = self.flow * (self.cellprob > 0) / 5.0
            return dynamics.follow_flows(moving, inds=self.inds, niter=NITER, device=CPU)
        if step == "seeds":
            sinks = torch.from_numpy(self.kept["follow"]).to(CPU, dtype=torch.int)
            return dynamics.get_masks_torch(sinks, self.inds, self.cellprob.shape)
        if step == "flow_qc":
            masks = self.kept["seeds"].copy()  # it works in place
            return dynamics.remove_bad_flow_masks(masks, self.flow, RULES.flow_threshold, CPU)
        if step == "fill":
            masks = self.kept["flow_qc"].copy()
            return utils.fill_holes_and_remove_small_masks(masks, RULES.min_size)
        return dynamics.compute_masks(self.flow, self.cellprob, min_size=RULES.min_size)

    def keep(self, step: str, output: Any) -> None:
        """See `Engine`."""
        self.kept[step] = output

    def show(self, step: str, output: Any) -> NDArray[Any]:
        """See `Engine`."""
        return np.asarray(output).astype(np.int32) if step == "follow" else np.asarray(output)


@dataclass(frozen=True)
class Found:
    """Labels that are not yet sorted out, and the cells' table."""

    labels: NDArray[np.uint32]
    cells: Any


class Tbscale:
    """This package, with its fast or its plain functions, the plane as one block."""

    def __init__(self, flow: Floats, cellprob: Floats, kernels: Kernels) -> None:
        self.flow, self.cellprob, self.kernels = flow, cellprob, kernels
        self.shape = (cellprob.shape[0], cellprob.shape[1])
        self.kept: dict[str, Any] = {}

    def _masked(self) -> tuple[Floats, NDArray[np.bool_]]:
        foreground = self.cellprob > 0
        return mask_flow(self.flow[0], self.flow[1], foreground), foreground

    def run(self, step: str) -> Any:
        """See `Engine`."""
        if step == "follow":
            moving, foreground = self._masked()
            whole = whole_of(self.shape)
            sinks = self.kernels.follow(moving, foreground, (0, 0), self.shape, whole, NITER)[0]
            return moving, sinks
        if step == "seeds":
            return Found(*label_sinks(self.kept["follow"][1], self.kernels))
        if step == "flow_qc":
            found, moving = self.kept["seeds"], self.kept["follow"][0]
            error = self.kernels.flow_errors(found.labels, len(found.cells.first), moving)
            return Found(found.labels, replace(found.cells, error=error))
        if step == "fill":
            found = self.kept["flow_qc"]
            source = ArrayLabels(found.labels)
            whole = finish_labels(found.cells, source, self.shape, RULES, self.kernels)
            return narrow(whole.read(whole_of(self.shape)))
        return masks_of(*self._masked(), NITER, RULES, self.kernels)

    def keep(self, step: str, output: Any) -> None:
        """See `Engine`."""
        self.kept[step] = output

    def show(self, step: str, output: Any) -> NDArray[Any]:
        """See `Engine`."""
        if step == "follow":
            return np.asarray(output[1][:, self.cellprob > 0])
        if isinstance(output, Found):
            rules = replace(RULES, flow_threshold=0.0) if step == "seeds" else RULES
            ids = number_kept(output.cells, output.labels.size, rules)
            return np.asarray(with_zero(ids)[output.labels])
        return np.asarray(output)
