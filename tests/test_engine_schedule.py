"""The seam between tasks and where they run: any order, any process, beside the network."""

import pickle
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import tifffile

from tbscale.engine.blocks import blocks_near, distance_px, meets, plan_blocks
from tbscale.engine.plan import plan_segmentation
from tbscale.engine.projection import REGION_PART, Workload
from tbscale.engine.request import Request
from tbscale.engine.run import (
    Settings,
    follow_tasks,
    label_plane,
    network_beside_follow,
    network_step,
)
from tbscale.engine.schedule import ArrivingFlows, in_order
from tbscale.engine.scratch import FlowStore
from tbscale.engine.segmentation import segment
from tbscale.engine.tasks.follow import FollowTask
from tbscale.engine.tasks.task import Piece
from tbscale.images.plane import ArrayPlane
from tbscale.steps import StepClock

SHAPE = (700, 300)
CHOSEN = Settings(core_px=90, batch_size=2)


def pixels():
    """Bright round spots on a dim ground."""
    y, x = np.mgrid[: SHAPE[0], : SHAPE[1]]
    return (800 + 700 * np.sin(y / 6) * np.sin(x / 6)).astype(np.uint16)


def climber(tiles):
    """Flow up the brightness: every spot becomes a cell."""
    signal = tiles[:, 0]
    dy, dx = (np.gradient(signal, axis=axis) * 40 for axis in (1, 2))
    return np.stack([dy, dx, signal - 0.5], axis=1).astype(np.float32)


def stored_flows(folder):
    folder.mkdir()
    flows = FlowStore(folder, SHAPE)
    network_step([ArrayPlane(pixels())], climber, CHOSEN, flows, StepClock())
    return flows


@pytest.fixture
def folder(tmp_path):
    """Scratch of a run that has not begun."""
    made = tmp_path / "scratch"
    made.mkdir()
    return made


def whole(labels):
    return labels.read((slice(0, SHAPE[0]), slice(0, SHAPE[1])))


@pytest.fixture(scope="module")
def expected(tmp_path_factory):
    folder = tmp_path_factory.mktemp("in-order") / "scratch"
    flows = stored_flows(folder)
    labels = whole(label_plane(folder, SHAPE, CHOSEN, flows, StepClock()))
    assert labels.max() > 100
    return labels


def run_there(task):
    """In a process that has nothing but the task and the folder."""
    task.run(StepClock())
    return task.leaves


def test_tasks_run_in_other_processes_in_any_order(tmp_path, expected):
    flows = stored_flows(tmp_path / "scratch")
    rng = np.random.default_rng(1)
    with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:

        def elsewhere(tasks, title, clock):
            shuffled = [tasks[k] for k in rng.permutation(len(tasks))]
            assert list(pool.map(run_there, shuffled)) == [task.leaves for task in shuffled]
            assert all(task.is_done() for task in tasks)

        made = label_plane(
            tmp_path / "scratch", SHAPE, CHOSEN, flows, StepClock(), schedule=elsewhere
        )
    np.testing.assert_array_equal(whole(made), expected)


class Recording:
    """A store that notes which regions are read."""

    def __init__(self, store):
        self._store = store
        self.regions = []

    def read(self, region):
        self.regions.append(region)
        return self._store.read(region)

    def __getattr__(self, name):
        return getattr(self._store, name)


def test_tasks_read_what_they_declare(tmp_path, expected):
    flows = stored_flows(tmp_path / "scratch")
    blocks = plan_blocks(SHAPE, CHOSEN.core_px)
    left: set[Piece] = set()

    def watching(tasks, title, clock):
        for task in reversed(tasks):
            stores = {
                n: Recording(getattr(task, n)) for n in ("flows", "sinks") if hasattr(task, n)
            }
            replace(task, **stores).run(clock)
            rows = max((p.index for p in task.reads if p.kind == "flow"), default=0)
            for region in stores.get("flows", Recording(None)).regions:
                assert region[0].stop <= rows
            declared = {p.index for p in task.reads if p.kind == "sinks"}
            for region in stores["sinks"].regions:
                assert {b.index for b in blocks if meets(b.core, region)} <= declared
            assert {p for p in task.reads if p.kind != "flow"} <= left
        left.update(task.leaves for task in tasks)

    made = label_plane(tmp_path / "scratch", SHAPE, CHOSEN, flows, StepClock(), schedule=watching)
    np.testing.assert_array_equal(whole(made), expected)
    assert {p.kind for p in left} == {"sinks", "seeds", "cells"}


def test_a_task_is_a_plain_value(tmp_path):
    flows = stored_flows(tmp_path / "scratch")
    task = follow_tasks(tmp_path / "scratch", SHAPE, CHOSEN, flows)[3]
    assert pickle.loads(pickle.dumps(task)).leaves == task.leaves == Piece("sinks", 3)


def test_blocks_are_followed_while_the_network_works(folder, expected):
    flows, clock, done = FlowStore(folder, SHAPE), StepClock(), []
    first = follow_tasks(folder, SHAPE, CHOSEN, flows)[0]

    def slow(tiles):
        time.sleep(0.02)
        done.append(first.is_done())
        return climber(tiles)

    network_beside_follow([ArrayPlane(pixels())], slow, CHOSEN, folder, flows, clock)
    assert not done[0]
    assert done[-1], "the first block was done before the last tile"
    assert all(task.is_done() for task in follow_tasks(folder, SHAPE, CHOSEN, flows))
    assert {"network", "follow"} <= set(clock.wall_s())
    np.testing.assert_array_equal(whole(label_plane(folder, SHAPE, CHOSEN, flows, clock)), expected)


def test_a_run_on_an_accelerator_gives_the_same_file(tmp_path, monkeypatch):
    """The device itself is not needed: what it changes here is who follows, and when."""
    image = tmp_path / "image.tif"
    tifffile.imwrite(image, pixels())
    outs = []
    for beside in (False, True):
        monkeypatch.setattr(Request, "follows_beside", beside)
        request = Request(
            image, tmp_path / f"{beside}.ome.tif", 0, model="embedded", settings=CHOSEN, core_px=90
        )
        result = segment(request, make_network=lambda weights, device: climber)
        outs.append(tifffile.imread(result.out))
    assert outs[0].max() > 100
    np.testing.assert_array_equal(*outs)


def test_the_projection_counts_the_region_beside_the_network():
    alone, both = (
        plan_segmentation(SHAPE, 8 << 30, work=Workload(follows_beside=beside)).projection
        for beside in (False, True)
    )
    parts = [dict(one.stages[1].parts) for one in (alone, both)]
    assert parts[1][REGION_PART] > parts[0][REGION_PART] == 0


class BrokenNetworkError(Exception):
    pass


def test_a_network_that_fails_ends_the_reader_too_and_the_run_continues(folder, expected):
    calls = []

    def failing(tiles):
        calls.append(1)
        if len(calls) == 4:
            raise BrokenNetworkError
        return climber(tiles)

    flows = FlowStore(folder, SHAPE)
    with pytest.raises(BrokenNetworkError):
        network_beside_follow([ArrayPlane(pixels())], failing, CHOSEN, folder, flows, StepClock())
    again = FlowStore(folder, SHAPE)
    network_beside_follow([ArrayPlane(pixels())], climber, CHOSEN, folder, again, StepClock())
    made = label_plane(folder, SHAPE, CHOSEN, again, StepClock())
    np.testing.assert_array_equal(whole(made), expected)


class BrokenReaderError(Exception):
    pass


def slow_and_counted(calls):
    def network(tiles):
        calls.append(1)
        time.sleep(0.05)
        return climber(tiles)

    return network


def test_a_reader_that_fails_ends_the_network(folder, monkeypatch):

    def fail(self, clock):
        raise BrokenReaderError

    monkeypatch.setattr(FollowTask, "run", fail)
    flows, calls = FlowStore(folder, SHAPE), []
    with pytest.raises(BrokenReaderError):
        network_beside_follow(
            [ArrayPlane(pixels())], slow_and_counted(calls), CHOSEN, folder, flows, StepClock()
        )
    assert flows.rows_done < SHAPE[0]
    assert len(calls) < 8


def test_a_block_without_room_beside_the_network_waits_for_its_end(folder, expected):
    flows = FlowStore(folder, SHAPE)
    network_beside_follow(
        [ArrayPlane(pixels())], climber, CHOSEN, folder, flows, StepClock(), region_limit_px=99
    )
    assert flows.rows_done == SHAPE[0]
    assert not any(task.is_done() for task in follow_tasks(folder, SHAPE, CHOSEN, flows))
    made = label_plane(folder, SHAPE, CHOSEN, flows, StepClock())
    np.testing.assert_array_equal(whole(made), expected)


def test_an_interruption_does_not_wait_for_what_is_left_to_follow(folder, monkeypatch):
    """The reader is far behind when the network is interrupted: it ends within a task."""
    flows = FlowStore(folder, SHAPE)
    followed = []
    run = FollowTask.run

    def slowly(self, clock):
        followed.append(self.block.index)
        time.sleep(0.3)
        run(self, clock)

    monkeypatch.setattr(FollowTask, "run", slowly)
    calls = []

    def interrupted(tiles):
        calls.append(1)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return climber(tiles)

    with pytest.raises(KeyboardInterrupt):
        network_beside_follow(
            [ArrayPlane(pixels())], interrupted, CHOSEN, folder, flows, StepClock()
        )
    assert len(followed) <= 4


def test_rows_that_are_there_are_read_without_waiting(tmp_path):
    flows = stored_flows(tmp_path / "scratch")
    region = (slice(10, 40), slice(0, 50))
    arriving = ArrivingFlows(flows)
    for ours, theirs in zip(arriving.read(region), flows.read(region), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_finished_tasks_are_skipped(tmp_path):
    flows = stored_flows(tmp_path / "scratch")
    tasks = follow_tasks(tmp_path / "scratch", SHAPE, CHOSEN, flows)
    in_order(tasks, "follow", StepClock())
    clock = StepClock()
    in_order(tasks, "follow", clock)
    assert not clock.spans


@pytest.mark.parametrize("halo_px", [0, 1, 9, 10, 45])
def test_blocks_near_a_region_are_those_that_a_search_finds(halo_px):
    blocks = plan_blocks((73, 41), 10)
    for block in blocks:
        found = {b.index for b in blocks_near(block.core, halo_px, blocks)}
        assert found >= {b.index for b in blocks if distance_px(block.core, b.core) <= halo_px}
        assert found <= {b.index for b in blocks if distance_px(block.core, b.core) <= halo_px + 10}
