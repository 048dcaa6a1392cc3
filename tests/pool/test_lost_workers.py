"""Workers that are killed in the middle of a query, one or all of them."""

import os
import signal
import threading
import time

import joblib
import numpy as np
import pytest
import torch

import skdfal
from skdfal.datasets import load_digits
from skdfal.pool import as_pool

distributed = pytest.importorskip("distributed", reason="needs skdfal[dask]")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits():
    return load_digits(image_size=16)


@pytest.fixture(scope="module")
def net(digits):
    with torch.random.fork_rng():
        torch.manual_seed(0)
        net = skdfal.make_classifier("lenet5", image_size=16, max_epochs=5, lr=0.005)
        return net.fit(digits.X_train[:100], digits.y_train[:100])


@pytest.fixture
def memmap(digits, tmp_path):
    np.save(tmp_path / "X.npy", digits.X_train[:1024])
    return np.load(tmp_path / "X.npy", mmap_mode="r")


@pytest.fixture
def client():
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, dashboard_address=":0"
    ) as workers:
        with distributed.Client(workers) as client:
            yield client


def kill(client, n):
    """Kill some workers as a machine does that fails; each has a nanny."""
    for pid in list(client.run(os.getpid).values())[:n]:
        os.kill(pid, signal.SIGKILL)


PATIENCE = 120  # seconds; with all workers there it takes a few


def in_time(client, function):
    """Return what a function on a cluster returns, or say why it does not end."""
    returned, raised = [], []

    def call():
        try:
            returned.append(function())
        except BaseException as error:
            raised.append(error)

    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    thread.join(PATIENCE)
    if thread.is_alive():
        n_workers = len(client.scheduler_info()["workers"])
        if n_workers < 2:
            pytest.skip(
                f"{n_workers} of 2 workers are there: Dask has not started those that "
                f"were killed again within {PATIENCE} s, as on a busy machine"
            )
        pytest.fail(f"no answer within {PATIENCE} s, though all workers are there")
    if raised:
        raise raised[0]
    return returned[0]


def query_on_dask(name, net, X):
    with joblib.parallel_config(backend="dask"):
        return QUERIES[name](net, X)


QUERIES = {
    "dfal": lambda net, X: skdfal.dfal(net, X, 20, batch_size=16),
    "dfal_diverse": lambda net, X: skdfal.dfal_diverse_sampling(
        net, X, 5, batch_size=16
    ),
    "core_set": lambda net, X: skdfal.core_set_sampling(
        net, X, 60, X_labeled=X[:5], solver="greedy", batch_size=16
    ),
    "bald": lambda net, X: skdfal.bald_sampling(
        net, X, 5, n_draws=4, batch_size=64, random_state=0
    ),
    "egl": lambda net, X: skdfal.egl_sampling(net, X, 5, batch_size=8),
    "entropy": lambda net, X: skdfal.entropy_sampling(net, X, 5, batch_size=8),
}


@pytest.mark.parametrize("n_killed", [1, 2])
@pytest.mark.parametrize("name", QUERIES)
def test_the_answer_is_the_same_whatever_phase_loses_workers(
    name, n_killed, net, memmap, client, monkeypatch
):
    from skdfal.pool._dask import OnDask

    expected = QUERIES[name](net, memmap)
    in_order = OnDask._in_order
    phases, killed_in = [], []

    def losing_workers(self, *args):
        phases.append(args)
        for result in in_order(self, *args):
            if len(phases) in (1, 2, 4) and len(phases) not in killed_in:
                killed_in.append(len(phases))  # while others of this phase run
                kill(client, n_killed)
            yield result

    monkeypatch.setattr(OnDask, "_in_order", losing_workers)
    found = in_time(client, lambda: query_on_dask(name, net, memmap))
    np.testing.assert_array_equal(found, expected)
    assert killed_in


def slow_sum(path, part):
    """Notes in a file that a block was worked; half a second of work."""
    x = torch.ones(200, 200)
    for _ in range(500):
        x = x @ x / 200
    with open(path, "a", encoding="ascii") as file:
        file.write(f"{part.indices[0]}\n")
    return float(part[:].sum())


@pytest.mark.parametrize("n_killed", [1, 2])
def test_finished_blocks_are_not_done_again(n_killed, memmap, client, tmp_path):
    from skdfal.pool._dask import OnDask

    pool = as_pool(memmap)
    parts = [pool.view(np.arange(i, i + 16)) for i in range(0, 1024, 16)]
    log = tmp_path / "log"
    results = OnDask(client).map(slow_sum, str(log), parts)
    found = [next(results) for _ in range(20)]
    finished = worked_on(log)
    time.sleep(3)  # by then they are with the client, also on a busy machine
    kill(client, n_killed)
    found += in_time(client, lambda: list(results))
    np.testing.assert_allclose(found, [float(part[:].sum()) for part in parts])
    worked = worked_on(log)
    assert len(set(worked)) == 64
    assert [worked.count(block) for block in finished] == [1] * len(finished)


def worked_on(log):
    return log.read_text(encoding="ascii").split()
