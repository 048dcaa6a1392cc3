"""Commands whose pictures a Dask cluster looks at."""

import sys
import threading

import pytest

pytest.importorskip("PIL")
distributed = pytest.importorskip("distributed", reason="needs skdfal[dask]")

from skdfal.cli import main  # noqa: E402
from skdfal.label._event import Event  # noqa: E402
from skdfal.label._formats import write_labels  # noqa: E402
from skdfal.pool import on_cluster  # noqa: E402
from tests.label.projects import (  # noqa: E402
    make_project,
    truth,
    wait_until,
    write_pictures,
)
from tests.label.test_trainer import tell, trained  # noqa: E402

QUERY = ["query", "pictures", "--labels", "labels.csv", "--size", "16", "--epochs", "1"]


@pytest.fixture
def pictures(tmp_path, monkeypatch):
    """A folder of pictures beside a file with the labels of ten."""
    monkeypatch.chdir(tmp_path)
    folder = write_pictures(tmp_path / "pictures")
    names = sorted(path.name for path in folder.glob("*.png"))[:10]
    events = [Event(name, name, "label", truth(name)) for name in names]
    write_labels("labels.csv", events)
    return folder


@pytest.fixture
def cluster():
    """A worker that is a thread of this process, but listens as others do."""
    with distributed.LocalCluster(
        n_workers=1,
        threads_per_worker=1,
        processes=False,
        protocol="tcp://",
        dashboard_address=":0",
    ) as cluster:
        yield cluster


def n_done(cluster):
    return cluster.workers[0].state.executed_count


def test_a_query_says_the_same_on_a_cluster(pictures, cluster, capsys):
    assert main([*QUERY, "-n", "4"]) == 0
    here = capsys.readouterr().out
    assert len(here.splitlines()) == 4
    assert n_done(cluster) == 0
    dask = ["--dask", cluster.scheduler_address]
    assert main([*QUERY, "-n", "4", "--cache", "cache", *dask]) == 0
    assert capsys.readouterr().out == here
    assert n_done(cluster) > 0


@pytest.mark.slow
def test_the_process_that_trains_asks_the_cluster(pictures, cluster):
    project = make_project(pictures, n_instances=11, dask=cluster.scheduler_address)
    try:
        tell(project, 12)
        trained(project, 1)
    finally:
        project.close()
    assert n_done(cluster) > 0


def test_no_workers_and_then_no_scheduler_are_a_line_each(pictures, capsys):
    with distributed.LocalCluster(
        n_workers=0, processes=False, protocol="tcp://", dashboard_address=":0"
    ) as cluster:

        def end_when_asked():
            wait_until(lambda: cluster.scheduler.tasks)
            cluster.close()

        ending = threading.Thread(target=end_when_asked)
        ending.start()
        command = [*QUERY, "--cache", "cache", "--dask", cluster.scheduler_address]
        assert main(command) == 1
        ending.join()
    waits, gone = filter(None, capsys.readouterr().err.splitlines())
    assert "has no workers yet" in waits
    assert "The Dask scheduler has stopped" in gone


def test_without_a_cluster_it_says_what_to_do(pictures, capsys, monkeypatch):
    def said(command):
        assert main([*command, "--dask", "nonsense"]) == 2
        return capsys.readouterr().err

    assert "'nonsense' is not an address of a Dask scheduler" in said(QUERY)
    with pytest.raises(ValueError, match="needs certificates"):
        with on_cluster("tls://127.0.0.1:9"):
            pass
    label = ["label", "pictures", "--classes", "dark,light", "--no-browser"]
    assert "'nonsense' is not an address" in said(label)
    monkeypatch.setattr("skdfal.pool._dask._SECONDS", 0.2)
    with pytest.raises(OSError, match="No Dask scheduler answers at tcp://127"):
        with on_cluster("tcp://127.0.0.1:9"):
            pass
    monkeypatch.delitem(sys.modules, "skdfal.pool._dask")
    monkeypatch.setitem(sys.modules, "distributed", None)
    assert "needs distributed; run: python -m pip install" in said(QUERY)
