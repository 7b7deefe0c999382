"""The step clock: charges add up, inner steps are charged alone, phases switch without a gap."""

from __future__ import annotations

import itertools
import time

import pytest

from tbscale.steps import STEPS, StepClock


def test_steps_are_charged_in_their_own_order() -> None:
    clock = StepClock()
    for name in ("follow", "read"):
        with clock.step(name):
            time.sleep(0.002)
    assert list(clock.wall_s()) == ["read", "follow"]
    assert min(clock.wall_s().values()) >= 0.002


def test_an_inner_step_is_charged_alone() -> None:
    clock = StepClock()
    with clock.step("tile"):
        with clock.step("network"):
            time.sleep(0.02)
        time.sleep(0.002)
    wall = clock.wall_s()
    assert wall["network"] >= 0.02
    assert 0.002 <= wall["tile"] < 0.02
    spans = sorted(clock.spans, key=lambda span: span.start_s)
    assert [span.step for span in spans] == ["tile", "network", "tile"]
    for one, following in itertools.pairwise(spans):
        assert one.stop_s == following.start_s


def test_switch_leaves_no_gap_and_ignores_the_same_name() -> None:
    clock = StepClock()
    with clock.step("tile"):
        clock.switch("network")
        clock.switch("network")
        clock.switch("blend")
    assert [span.step for span in clock.spans] == ["tile", "network", "blend"]
    assert clock.spans[0].stop_s == clock.spans[1].start_s
    assert clock.spans[1].stop_s == clock.spans[2].start_s


def test_a_step_that_fails_is_closed() -> None:
    clock = StepClock()
    with pytest.raises(KeyError), clock.step("read"):
        raise KeyError
    with clock.step("write"):
        pass
    assert [span.step for span in clock.spans] == ["read", "write"]


def test_unknown_names_and_no_open_step() -> None:
    clock = StepClock()
    with pytest.raises(ValueError, match="unknown step 'lunch'"), clock.step("lunch"):
        pass
    with pytest.raises(RuntimeError, match="no step is open"):
        clock.switch(STEPS[0])


def test_restart_forgets() -> None:
    clock = StepClock()
    with clock.step("read"):
        pass
    clock.restart()
    assert clock.wall_s() == {}
    assert clock.now_s() < 1


def test_the_clock_synchronises_before_each_reading() -> None:
    calls: list[int] = []
    clock = StepClock(synchronise=lambda: calls.append(1))
    with clock.step("network"):
        pass
    assert len(calls) == 2
