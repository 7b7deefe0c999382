"""Shared fixtures: `--slow`, and the optional folder of real images."""

import os
from pathlib import Path

import pytest

# several test workers on few cores: threads that spin on each other are 20 times slower than one
os.environ.setdefault("OMP_NUM_THREADS", "1")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="also run tests on large planes")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
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
