"""Runs of the solver, where Python ends before they do."""

import pytest

from skdfal.cover._program import _Exit


class Run:
    """Notes what is done to it."""

    def __init__(self):
        self.done = []

    def start(self):
        self.done.append("started")

    def stop(self):
        self.done.append("stopped")


def test_where_python_ends_runs_are_stopped_and_none_begins():
    end, running, later = _Exit(), Run(), Run()
    end.start(running)
    end.come()
    assert running.done == ["started", "stopped"]
    with pytest.raises(SystemExit, match="Python is exiting"):
        end.start(later)
    assert later.done == []
