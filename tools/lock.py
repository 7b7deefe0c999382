"""Write requirements.lock: the exact versions of the closure of our dependencies.

Reads this environment's installed distributions, starting from tbscale with the extras `book`
and `dev`; `synapse` and `runtimes` serve a few commands alone and stay out. The lines are plain
`name==version`: no index address, no local version such as `+cpu`, so that the same file serves
any machine. Run with `make lock` after changing pyproject.toml.
"""

import argparse
import sys
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

EXTRAS = ("book", "dev")
BUILD = ("setuptools",)  # the editable install builds without isolation
HEADER = """\
# Exact versions for Python 3.11 and 3.12, written by `make lock`; do not edit.
# torch is the plain version: on Linux without a GPU, a CPU build (2.13.0+cpu) satisfies it too.
"""


def requirements_of(dist: Distribution, extras: tuple[str, ...]) -> list[Requirement]:
    """Return the requirements of `dist` that apply here with `extras`."""
    found = []
    for line in dist.requires or ():
        requirement = Requirement(line)
        marker = requirement.marker
        if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *extras)):
            found.append(requirement)
    return found


def closure(root: str, extras: tuple[str, ...]) -> dict[str, str]:
    """Return {canonical name: public version} of everything `root` needs, itself excluded."""
    versions: dict[str, str] = {}
    queue: list[tuple[str, tuple[str, ...]]] = [(root, extras), *((name, ()) for name in BUILD)]
    seen: set[tuple[str, tuple[str, ...]]] = set()
    while queue:
        name, wanted = queue.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        dist = distribution(name)
        versions[canonicalize_name(name)] = Version(dist.version).public
        queue += [
            (canonicalize_name(needed.name), tuple(sorted(needed.extras)))
            for needed in requirements_of(dist, wanted)
        ]
    versions.pop(canonicalize_name(root))
    return versions


def main() -> int:
    """Write the lock beside pyproject.toml, or elsewhere with --out."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=Path("requirements.lock"))
    target = parser.parse_args().out
    try:
        versions = closure("tbscale", EXTRAS)
    except PackageNotFoundError as missing:
        sys.stderr.write(f"tbscale: {missing.name} is needed but not installed; pip install it\n")
        return 2
    lines = "".join(f"{name}=={version}\n" for name, version in sorted(versions.items()))
    partial = target.with_name(target.name + ".partial")
    partial.write_text(HEADER + lines)
    partial.replace(target)
    sys.stderr.write(f"{target}: {len(versions)} packages\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
