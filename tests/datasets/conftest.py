"""Fetchers see no data of this machine, and a server of our own for the net."""

import pytest

from tests.datasets.stand_in import serving


@pytest.fixture(autouse=True)
def _no_data_folder(monkeypatch):
    monkeypatch.delenv("SKDFAL_DATA", raising=False)


@pytest.fixture
def server(monkeypatch):
    with serving(monkeypatch) as server:
        yield server
