"""What only the run knows of itself, as it is kept in the metadata of the labels.

Under `run` beside the parameters: what a report needs later, and nothing that names a person, a
machine or a folder. Times and memory end where the labels are written, before the file is finished.
"""

from __future__ import annotations

import os
import sys
from typing import Any

import psutil

from tbscale.engine.peaks import PeakSampler
from tbscale.engine.plan import Plan
from tbscale.steps import StepClock


def run_facts(
    plan: Plan, clock: StepClock, peaks: PeakSampler, wall_s: float, resumed: bool
) -> dict[str, Any]:
    """Plan, time and memory of a run, as JSON values.

    Parameters
    ----------
    resumed : the run continued another one, whose time and memory are not in here
    """
    peak_bytes, step_bytes = peaks.peak_bytes, dict(peaks.step_bytes)
    return {
        "wall_s": round(wall_s, 3),
        "peak_rss_bytes": peak_bytes,
        "resumed": resumed,
        "steps": {
            name: {"wall_s": round(spent, 4), "peak_rss_bytes": step_bytes.get(name)}
            for name, spent in clock.wall_s().items()
        },
        "plan": plan_facts(plan),
        "machine": {
            "cores": usable_cores(),
            "memory_bytes": psutil.virtual_memory().total,
        },
    }


def usable_cores() -> int:
    """Cores that this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def plan_facts(plan: Plan) -> dict[str, int]:
    """How the work was cut and what was projected, as JSON values."""
    sizes = plan.projection
    return {
        "budget_bytes": plan.budget_bytes,
        "projected_peak_bytes": sizes.peak_bytes,
        "scratch_bytes_at_most": sizes.scratch_bytes,
        "strips": len(plan.grid.y.starts),
        "tiles_per_strip": plan.grid.tiles_per_strip,
        "blocks": len(plan.blocks),
        "core_px": plan.core_px,
    }
