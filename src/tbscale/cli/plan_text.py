"""The plan of a segmentation as lines of text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tbscale.engine.estimate import Estimate
    from tbscale.engine.plan import Plan


def describe_plan(plan: Plan, free_disk_bytes: int, estimate: Estimate | None) -> str:
    """What `tbscale segment --dry-run` prints.

    Parameters
    ----------
    free_disk_bytes : where the output will be
    estimate : None where it was not asked for
    """
    from tbscale.engine.projection import GIB, RUNTIME_BYTES
    from tbscale.engine.tasks.follow import FIRST_HALO_PX

    grid, sizes = plan.grid, plan.projection
    rows = [
        ("plane", f"{plan.shape[0]} x {plan.shape[1]} px"),
        ("strips", f"{len(grid.y.starts)} of {grid.tiles_per_strip} tiles, {grid.y.tile_px} px"),
        ("blocks", f"{len(plan.blocks)} of {plan.core_px} px"),
        ("halo", f"{FIRST_HALO_PX} px, wider where a path is longer"),
        ("projected peak", f"{sizes.peak_bytes / GIB:.2f} GiB"),
        ("  runtime", f"{RUNTIME_BYTES / GIB:.2f} GiB, below every stage"),
    ]
    for stage in (one for one in sizes.stages if one.parts):
        largest = sorted(stage.parts, key=lambda part: -part[1])[:3]
        parts = ", ".join(f"{name} {size / GIB:.2f}" for name, size in largest)
        rows.append((f"  {stage.name}", f"{stage.bytes / GIB:.2f} GiB ({parts}, ...)"))
    need = sizes.scratch_bytes + sizes.output_bytes
    rows += [
        ("budget", f"{plan.budget_bytes / GIB:.2f} GiB"),
        ("freed memory", "kept while the network works" if plan.keeps_freed else "given back"),
        ("scratch", f"at most {sizes.scratch_bytes / GIB:.2f} GiB on disk"),
        ("labels", f"{sizes.output_bytes / GIB:.2f} GiB before compression"),
        ("free on disk", f"{free_disk_bytes / GIB:.2f} GiB" + disk_note(need, free_disk_bytes)),
    ]
    if estimate is not None:
        rows.append(("time", describe_time(estimate)))
    return "\n".join(f"{name:<15} {text}" for name, text in rows)


def disk_note(need_bytes: int, free_bytes: int) -> str:
    """A warning where the disk may run full; scratch compresses, so it often does not."""
    return "" if need_bytes <= free_bytes else ", less than the most that a run may write"


def describe_time(estimate: Estimate) -> str:
    """The estimate in words, and what it rests on."""
    from tbscale.engine.progress import format_time

    slowest = sorted(estimate.steps_s.items(), key=lambda item: -item[1])[:3]
    shares = ", ".join(f"{name} {format_time(spent)}" for name, spent in slowest)
    return (
        f"about {format_time(estimate.wall_s)} ({shares}, ...): an estimate from {estimate.tiles} "
        f"tiles and one block of {estimate.pixels:,} px of this image on this machine"
    )
