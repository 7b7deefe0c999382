"""Shared fixtures: `--slow`, and the optional folder of real images."""

import os
from pathlib import Path

import pytest

# several test workers on few cores: threads that spin on each other are 20 times slower than one
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests on large planes")


# files that take minutes: first, so that no worker begins one when the others are done
LONG = (
    "test_questions_notebooks.py",
    "test_cli_profile.py",
    "test_engine_memory.py",
    "test_engine_rescale.py",
    "test_engine_labels.py",
    "test_benchmarks.py",
    "test_book_site.py",
)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(item.path.name, len(LONG)))  # stable
    if config.getoption("--slow"):
        return
    for item in items:
        if "slow" in item.keywords:
            item.add_marker(pytest.mark.skip(reason="needs --slow"))


@pytest.fixture(scope="session")
def real_images() -> Path:
    """The folder of real images, outside the repository; skips where it is absent."""
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("TBSCALE_REAL_IMAGES", default))
    if not folder.is_dir():
        pytest.skip("no folder of real images (set TBSCALE_REAL_IMAGES)")
    return folder


@pytest.fixture(params=["1", "2", "3"])
def workers(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> int:
    """Threads for chunks, as OMP_NUM_THREADS says."""
    monkeypatch.setenv("OMP_NUM_THREADS", request.param)
    return int(request.param)
