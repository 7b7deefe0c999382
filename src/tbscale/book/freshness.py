"""Whether a record was made by the code that is here now, or by an older one."""

from __future__ import annotations

from functools import cache

from tbscale.bench.reference import REFERENCE_ENGINE
from tbscale.bench.software import changed_since, repository_root
from tbscale.book.markdown import badge
from tbscale.book.shelf import Entry

# what reads images, and not what writes labels
READING = ("src/tbscale/images", ":(exclude)src/tbscale/images/labels_out")
# of no profile's cost, because it runs none of their functions: what a request of `tbscale segment`
# is checked and locked by, and experiments on parts, whose records are their own
APART = (
    ":(exclude)src/tbscale/images/describe.py",
    ":(exclude)src/tbscale/images/fetch.py",
    ":(exclude)src/tbscale/images/standin",
    ":(exclude)src/tbscale/engine/check.py",
    ":(exclude)src/tbscale/engine/estimate.py",
    ":(exclude)src/tbscale/engine/request.py",
    ":(exclude)src/tbscale/engine/workdir.py",
    ":(exclude)src/tbscale/engine/workload/network_candidates.py",
)
# weights are trained before anything is measured; the model card alone reads and scores as training
OF_WEIGHTS = "model-card"
NOT_OF_WEIGHTS = (":(exclude)src/tbscale/engine/training",)
FOR_WEIGHTS = ("src/tbscale/engine/training/data.py", "src/tbscale/engine/training/evaluate.py")
# one experiment alone times tables of cells and runs these codecs
OF_FILES = "files"
FOR_FILES = (
    ":(exclude)src/tbscale/engine/table",
    ":(exclude)src/tbscale/engine/workload/file_speeds.py",
)
# what decides the cost of a run: of the reference, how it is run; of ours, all of the engine
PATHS = {
    REFERENCE_ENGINE: ("src/tbscale/engine/workload", "src/tbscale/engine/stock.py", *READING),
    "tbscale": ("src/tbscale/engine", "src/tbscale/images"),
}
OLDER, UNKNOWN = "measured on older code", "code of unknown age"


@cache
def _changed(commit: str, paths: tuple[str, ...]) -> bool | None:
    root = repository_root()
    return None if root is None else changed_since(root, commit, paths)


def age_in_words(entry: Entry) -> str:
    """`measured on older code`, `code of unknown age`, or nothing where the code is the same."""
    paths = PATHS.get(entry.record.engine.name, PATHS["tbscale"])
    if entry.record.passes:
        paths += APART
    if entry.record.experiment != OF_FILES:
        paths += FOR_FILES
    paths += FOR_WEIGHTS if entry.record.experiment == OF_WEIGHTS else NOT_OF_WEIGHTS
    commit = entry.record.code.commit
    changed = None if commit is None else _changed(commit, paths)
    if changed is None:
        return UNKNOWN
    return OLDER if changed else ""


def age_badge(entry: Entry) -> str:
    """The same as a label, or nothing."""
    words = age_in_words(entry)
    return badge(words, "stale") if words else ""
