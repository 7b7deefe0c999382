"""Memory: peaks stay under their projection, and a run finishes under a hard limit."""

import json
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).resolve().parents[1] / "benchmarks" / "memory_bound.py"
BENCH = runpy.run_path(str(SCRIPT))

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("planes")


def run(folder, shape, network="fake", channels=1, core_px=0, *more):
    image = folder / f"{shape[0]}x{shape[1]}x{channels}.tif"
    if not image.exists():
        BENCH["write_image"](image, shape, channels)
    command = [sys.executable, str(SCRIPT), "--once", str(image), "--network", network]
    command += ["--channels", str(channels), "--core-px", str(core_px), *more]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def outcome(ended):
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def check(one):
    assert one["cells"] > 0
    assert one["used"] <= one["projected_used"], one
    assert one["peak"] <= one["projected_peak"], one


@pytest.mark.parametrize(
    ("shape", "channels", "core_px"),
    [((3000, 300), 2, 256), ((1400, 1400), 1, 2048)],
)
def test_the_measured_peak_is_under_the_projected_one(shape, channels, core_px, folder):
    check(outcome(run(folder, shape, "fake", channels, core_px)))


def test_a_run_finishes_under_a_hard_limit_at_its_projection(folder):
    check(outcome(run(folder, (250, 12000), "fake", 1, 512, "--limited")))


def test_the_hard_limit_binds(folder):
    ended = run(folder, (250, 12000), "fake", 1, 512, "--limited", "--waste-mib", "400")
    assert ended.returncode != 0
    assert "Unable to allocate 400. MiB" in ended.stderr


@pytest.mark.slow
@pytest.mark.parametrize("shape", [(300, 6000), (900, 900)])
def test_the_real_network_stays_under_its_projection(shape, folder):
    check(outcome(run(folder, shape, "exact")))


@pytest.mark.slow
def test_the_real_network_finishes_under_a_hard_limit(folder):
    check(outcome(run(folder, (300, 6000), "exact", 1, 0, "--limited")))
