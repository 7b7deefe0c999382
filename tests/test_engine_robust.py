"""A run that is killed, runs out of disk, or has company: resumed, or ended in one sentence."""

import errno
import multiprocessing
import os
import subprocess
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import tifffile
from fake_run import BENCH, SHAPE, broken, climber, request

from tbscale.cli import main
from tbscale.engine import packed, scratch, segmentation
from tbscale.engine.segmentation import segment
from tbscale.engine.workdir import workdir_path
from tbscale.errors import ImageError, RunError
from tbscale.images.labels_out import chunks


def slow_climber(weights, device):
    """The same, slow enough to be killed at its work."""

    def network(tiles):
        time.sleep(0.05)
        return BENCH["Climber"]()(tiles)

    return network


def run(folder, name):
    """In a process of its own."""
    segment(request(folder, name), make_network=slow_climber)


@pytest.fixture
def folder(tmp_path):
    BENCH["write_image"](tmp_path / "image.tif", SHAPE, 2)
    return tmp_path


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    BENCH["write_image"](folder / "image.tif", SHAPE, 2)
    result = segment(request(folder), make_network=climber)
    assert result.cell_count > 100
    return tifffile.imread(result.out)


def kill_and_resume(folder, kills, seed):
    """Kill a run at random moments of its work, then let it end; returns its labels."""
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tbscale.engine.segmentation", "tbscale.engine.weights"])
    rng, out = np.random.default_rng(seed), folder / "killed.ome.tif"
    done = 0
    while not out.exists():
        process = context.Process(target=run, args=(folder, out.name))
        process.start()
        if done < kills:
            begun = time.monotonic()
            lock = workdir_path(out).with_name(workdir_path(out).name + ".lock")
            while not lock.exists() and process.is_alive() and time.monotonic() < begun + 60:
                time.sleep(0.005)
            process.join(rng.uniform(0, 0.5))
            if not out.exists():
                process.kill()
                done += 1
        process.join()
        assert done < kills or process.exitcode in (0, -9)
    assert done > 0
    return tifffile.imread(out), done


def test_five_kills_change_nothing(folder, undisturbed):
    labels, kills = kill_and_resume(folder, 5, seed=1)
    assert kills == 5
    np.testing.assert_array_equal(labels, undisturbed)
    assert sorted(p.name for p in folder.iterdir()) == ["image.tif", "killed.ome.tif"]


@pytest.mark.slow
def test_twenty_kills_of_the_fake_network_change_nothing(folder, undisturbed):
    labels, kills = kill_and_resume(folder, 20, seed=2)
    assert kills == 20
    np.testing.assert_array_equal(labels, undisturbed)


def fail_at(monkeypatch, target, part, use=2):
    """Let a function meet a full disk at one use for a path with `part` in it."""
    module, name = target
    original = getattr(module, name)
    met = []

    def full(where, *args, **kwargs):
        if part in str(where if isinstance(where, Path | str) else where.name):
            met.append(where)
            if len(met) == use:
                raise OSError(errno.ENOSPC, "No space left on device")
        return original(where, *args, **kwargs)

    monkeypatch.setattr(module, name, full)
    return met


PUT, WHOLE, CHUNK = (chunks, "write_new"), (scratch, "write_whole"), (packed, "write_whole")
PLACES = {
    "flows": (CHUNK, "tbscale/flow/"),
    "rows done": (WHOLE, "flow-rows.json"),
    "sinks": (CHUNK, "tbscale/sinks/"),
    "follow done": (WHOLE, "follow/"),
    "seeds": (WHOLE, "seeds/"),
    "owned": ((np, "savez"), "owned/"),
    "spool": (PUT, ".partial/", 1),
    "file": ((tifffile.FileHandle, "write"), "", 4),
}


@pytest.mark.parametrize("place", PLACES)
def test_a_full_disk_is_one_sentence_and_the_run_continues(place, folder, undisturbed, monkeypatch):
    with monkeypatch.context() as patch:
        met = fail_at(patch, *PLACES[place])
        with pytest.raises(RunError, match=r"^no room is left on the disk of .*same command again"):
            segment(request(folder), make_network=climber)
        assert met
    assert not (folder / "labels.ome.tif").exists()
    result = segment(request(folder), make_network=climber)
    np.testing.assert_array_equal(tifffile.imread(result.out), undisturbed)


def test_the_command_line_says_it_in_one_line(folder, monkeypatch, capsys):
    fail_at(monkeypatch, *PLACES["sinks"])
    command = ["tbscale", "segment", str(folder / "image.tif"), str(folder / "labels.ome.tif")]
    monkeypatch.setattr("sys.argv", [*command, "--model", "embedded"])
    monkeypatch.setattr("tbscale.engine.segmentation.segment.__defaults__", (False, climber))
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 2
    assert capsys.readouterr().err.strip().startswith("tbscale: no room is left on the disk of")


def mount(folder, options):
    command = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


def test_a_disk_that_is_really_full(folder, undisturbed, tmp_path_factory):
    small = tmp_path_factory.mktemp("small")
    if os.geteuid() or not mount(small, "size=256k"):
        pytest.skip("only root may mount a small disk")
    try:
        with pytest.raises(RunError, match="no room is left on the disk"):
            segment(replace(request(folder), out=small / "a.ome.tif"), make_network=climber)
        assert mount(small, "remount,size=64m")
        segment(replace(request(folder), out=small / "a.ome.tif"), make_network=climber)
        np.testing.assert_array_equal(tifffile.imread(small / "a.ome.tif"), undisturbed)
    finally:
        subprocess.run(["umount", str(small)], check=True)


@pytest.mark.parametrize("axis", ["z", "t"])
def test_a_plane_of_a_volume_or_series_is_segmented(folder, undisturbed, axis):
    plane = tifffile.imread(folder / "image.tif")[0]
    stack = np.stack([np.zeros_like(plane), plane])
    path = folder / "stack.ome.tif"
    tifffile.imwrite(path, stack, metadata={"axes": f"{axis.upper()}YX"}, ome=True)
    made = request(folder, image=path, cells=folder / "cells.csv")
    with pytest.raises(ImageError, match=rf"pass {axis}"):
        segment(made, make_network=climber)
    result = segment(replace(made, **{axis: 1}), make_network=climber)
    np.testing.assert_array_equal(tifffile.imread(result.out), undisturbed)
    assert result.cells.read_text().count("\n") == result.cell_count + 1


@pytest.mark.parametrize("left", ["while it was renamed", "half removed"])
def test_scratch_whose_removal_was_killed_is_not_gone_on_from(
    folder, undisturbed, left, monkeypatch
):
    out = folder / "again.ome.tif"
    work = workdir_path(out)
    with monkeypatch.context() as patched:
        patched.setattr("tbscale.engine.segmentation.write_labels", stop)
        with pytest.raises(KeyboardInterrupt):
            segment(request(folder, out.name, channel=0), make_network=dark)
    assert (work / "flow-rows.json").is_file()
    if left == "half removed":  # as `rmtree` leaves it: the name went, the flows stayed
        (work / "run.json").unlink()
    else:
        work.rename(work.with_name(f"{work.name}.dropped-1"))
    segment(request(folder, out.name), make_network=climber)
    np.testing.assert_array_equal(tifffile.imread(out), undisturbed)
    assert sorted(p.name for p in folder.iterdir()) == ["again.ome.tif", "image.tif"]


def stop(*_, **__):
    raise KeyboardInterrupt


def dark(weights, device):
    """A network that finds nothing."""
    return lambda tiles: np.full((len(tiles), 3, *tiles.shape[2:]), -9, np.float32)


def test_a_run_that_ends_before_it_has_stored_anything_leaves_nothing(folder):
    def fails(weights, device):
        return lambda tiles: stop()

    with pytest.raises(KeyboardInterrupt):
        segment(request(folder), make_network=fails)
    assert [path.name for path in folder.iterdir()] == ["image.tif"]


def test_labels_that_appear_while_a_run_prepares_are_left_alone(folder, monkeypatch):
    """The second of two runs has looked for the labels before the first one finishes."""
    prepare = segmentation.prepare

    def late(asked, *rest):
        job = prepare(asked, *rest)
        monkeypatch.setattr(segmentation, "prepare", prepare)
        segment(asked, make_network=climber)
        return job

    monkeypatch.setattr(segmentation, "prepare", late)
    with pytest.raises(ImageError, match=r"labels\.ome\.tif exists"):
        segment(request(folder, cells=folder / "cells.csv"), make_network=broken)
    assert sorted(p.name for p in folder.iterdir()) == ["cells.csv", "image.tif", "labels.ome.tif"]


def test_a_lock_that_cannot_be_had_is_one_sentence(folder, monkeypatch):
    (folder / ".labels.ome.tif.tbscale.lock").mkdir()
    with pytest.raises(
        RunError, match=r"lock cannot be made \(Is a directory\); choose another output$"
    ):
        segment(request(folder), make_network=broken)

    def none_here(*_):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fcntl.flock", none_here)
    with pytest.raises(
        RunError, match=r"cannot be locked \(No locks available\); choose another output$"
    ):
        segment(request(folder, "other.ome.tif"), make_network=broken)
    assert not list(folder.glob(".other*"))


def test_what_is_left_beside_complete_labels_is_named(folder):
    out = segment(request(folder), make_network=climber).out
    workdir_path(out).mkdir()
    with pytest.raises(RunError, match=r"exists, and \.labels\.ome\.tif\.tbscale beside it"):
        segment(request(folder), make_network=climber)
