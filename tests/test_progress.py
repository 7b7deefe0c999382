"""Progress: a bar where it is seen, a line a minute where it is not."""

import logging

import pytest

from tbscale.engine import progress as module
from tbscale.engine.progress import format_time, progress, progress_line


class FakeClock:
    """A clock that moves 25 s at each item."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now

    def items(self, count):
        for k in range(count):
            self.now += 25.0
            yield k


def test_a_line_a_minute_without_a_terminal(monkeypatch, caplog):
    monkeypatch.setattr(module, "is_watched", lambda: False)
    clock = FakeClock()
    with caplog.at_level(logging.INFO, "tbscale.engine.progress"):
        passed = list(progress(clock.items(10), "labels", "block", 30, 20, now_s=clock))
    assert passed == list(range(10))
    assert caplog.messages == [
        "labels: 23 of 30 blocks (76 %), 2.4 blocks a minute, 3 min left",
        "labels: 26 of 30 blocks (86 %), 2.4 blocks a minute, 2 min left",
        "labels: 29 of 30 blocks (96 %), 2.4 blocks a minute, 25 s left",
    ]


def test_a_short_step_says_nothing(monkeypatch, caplog):
    monkeypatch.setattr(module, "is_watched", lambda: False)
    clock = FakeClock()
    with caplog.at_level(logging.INFO, "tbscale.engine.progress"):
        list(progress(clock.items(2), "labels", "block", 2, now_s=clock))
    assert not caplog.messages


def test_a_bar_names_step_rate_and_time_left(monkeypatch, capsys):
    monkeypatch.setattr(module, "is_watched", lambda: True)
    list(progress([3, 4], "network", "row", 7, amount=int))
    shown = capsys.readouterr().err
    assert "network: 100%" in shown
    assert "7/7" in shown
    assert "row/s" in shown


def test_a_bar_is_shown_in_a_notebook_and_not_in_a_pipe(monkeypatch):
    assert not module.is_watched()

    class ZMQInteractiveShell:
        pass

    class FakeIPython:
        get_ipython = staticmethod(ZMQInteractiveShell)

    monkeypatch.setitem(module.sys.modules, "IPython", FakeIPython)
    assert module.is_watched()


def test_rates_of_nothing_and_times_in_words():
    assert progress_line("follow", "block", 9, 4, 0, 0).endswith("unknown time left")
    assert [format_time(s) for s in (0, 89, 90, 3600, 86400)] == [
        "0 s",
        "89 s",
        "2 min",
        "1 h 0 min",
        "24 h 0 min",
    ]


@pytest.mark.parametrize("watched", [True, False])
def test_items_pass_unchanged(watched, monkeypatch):
    monkeypatch.setattr(module, "is_watched", lambda: watched)
    assert list(progress(iter("abc"), "write", "block", 3)) == ["a", "b", "c"]
