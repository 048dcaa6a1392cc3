"""K-center covers: theorems, degenerate pools, and what happens out of time."""

import itertools
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
import tracemalloc

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import skdfal.cover._k_center as k_center
from skdfal.cover import _program
from skdfal.cover._k_center import cover_radius, k_center_greedy, k_center_mip
from tests.reference import k_center as reference

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
# Last digits differ between a sum of squares in a loop and in einsum.
TIGHT = {"rel": 1e-12, "abs": 1e-300}


@st.composite
def covers(draw):
    """A pool of at most 12 points, labelled points, a number of centers, of outliers.

    Integer points come with ties and duplicates, gaussian ones with neither.
    """
    n_samples = draw(st.integers(1, 12))
    n_labeled = draw(st.integers(0, 3))
    n_features = draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = (n_samples + n_labeled, n_features)
    kind = draw(st.sampled_from(["gaussian", "grid", "duplicates"]))
    if kind == "gaussian":
        points = rng.normal(size=shape)
    elif kind == "grid":
        points = rng.integers(0, 5, size=shape).astype(float)
    else:
        points = rng.normal(size=(4, n_features))[rng.integers(0, 4, size=shape[0])]
    n_centers = draw(st.integers(1, n_samples))
    n_outliers = draw(st.sampled_from([0, 0, 1, 2, n_samples]))
    n_outliers = min(n_outliers, n_samples)
    return points[:n_samples], points[n_samples:], n_centers, n_outliers


@pytest.fixture
def blobs():
    """300 points in five dimensions, 30 labelled, in a scale of ten or so."""
    rng = np.random.default_rng(0)
    points = 4 * rng.normal(size=(330, 5))
    return points[:300], points[300:]


@pytest.fixture
def hard():
    """Points whose optimum takes many solves: no labels, few centers, many outliers."""
    return np.random.default_rng(0).normal(size=(500, 20))


def is_selection(centers, n_centers, n_samples):
    """Whether centers are exactly n_centers distinct indices."""
    return (
        centers.shape == (n_centers,)
        and np.issubdtype(centers.dtype, np.integer)
        and len(set(centers.tolist())) == n_centers
        and set(centers.tolist()) <= set(range(n_samples))
    )


# Theorems.


@given(covers())
@settings(max_examples=150, deadline=None)
def test_mip_equals_brute_force(cover):
    X, X_labeled, n_centers, n_outliers = cover
    result = k_center_mip(
        X,
        n_centers,
        X_labeled=X_labeled,
        outlier_fraction=n_outliers / len(X),
        time_limit=60,
    )
    # The number of outliers asked for is the number used.
    assert result.n_outliers == n_outliers
    # The optimum is reached, and known to be one.
    optimum = reference.smallest_radius(X, n_centers, X_labeled, n_outliers)
    assert result.radius == pytest.approx(optimum, **TIGHT)
    assert result.proven
    assert result.lower_bound == result.radius
    # The radius belongs to the centers.
    assert is_selection(result.centers, n_centers, len(X))
    again = cover_radius(X, result.centers, X_labeled=X_labeled, n_outliers=n_outliers)
    assert result.radius == again
    # Greedy is never better.
    assert result.radius <= result.greedy_radius


@given(covers())
@settings(max_examples=100, deadline=None)
def test_greedy_is_within_twice_the_optimum(cover):
    X, X_labeled, n_centers, _ = cover
    result = k_center_greedy(X, n_centers, X_labeled=X_labeled)
    optimum = reference.smallest_radius(X, n_centers, X_labeled)
    # Gonzalez 1985, whatever the first pick.
    assert result.radius <= 2 * optimum * (1 + 1e-12)
    assert result.lower_bound <= optimum * (1 + 1e-12)
    # Proven means optimal, if it does not often say so.
    assert not result.proven or optimum == 0
    assert is_selection(result.centers, n_centers, len(X))


@given(covers(), st.integers(0, 3))
@settings(max_examples=100, deadline=None)
def test_radius_is_the_formula(cover, seed):
    X, X_labeled, n_centers, n_outliers = cover
    centers = np.random.default_rng(seed).choice(len(X), n_centers)
    ours = cover_radius(X, centers, X_labeled=X_labeled, n_outliers=n_outliers)
    theirs = reference.radius(X, centers, X_labeled, n_outliers)
    assert ours == pytest.approx(theirs, **TIGHT)


@pytest.mark.parametrize("n_labeled", [0, 1, 30])
def test_greedy_picks_what_plain_loops_pick(blobs, n_labeled):
    X, X_labeled = blobs
    X, X_labeled = X[:80], X_labeled[:n_labeled]
    ours = k_center_greedy(X, 15, X_labeled=X_labeled)
    assert ours.centers.tolist() == reference.greedy(X, 15, X_labeled)


def test_greedy_breaks_ties_by_the_lowest_index():
    # Four corners around a labelled center: all as far, so in their order.
    X = [[1.0, 1.0], [1.0, -1.0], [-1.0, 1.0], [-1.0, -1.0]]
    result = k_center_greedy(X, 4, X_labeled=[[0.0, 0.0]])
    assert result.centers[0] == 0
    assert result.centers.tolist() == reference.greedy(X, 4, [[0.0, 0.0]])


@pytest.mark.parametrize("n_far", [1, 2, 7, 50])
@pytest.mark.parametrize("kind", ["blobs", "lattice", "duplicates", "float32"])
def test_greedy_is_exact_however_few_it_keeps_up_to_date(
    blobs, n_far, kind, monkeypatch
):
    # Several centers are chosen among the farthest samples before the rest of the pool
    # hears of them: ties, duplicates and the order of the answer are as one by one.
    X, X_labeled = blobs
    X, X_labeled = X[:60], X_labeled[:3]
    if kind == "lattice":
        X, X_labeled = np.rint(X / 4), np.rint(X_labeled / 4)
    elif kind == "duplicates":
        X = X[np.random.default_rng(0).integers(0, 9, size=60)]
    elif kind == "float32":
        X = X.astype(np.float32)
    monkeypatch.setattr(k_center, "N_FAR", n_far)
    ours = k_center_greedy(X, 25, X_labeled=X_labeled)
    assert ours.centers.tolist() == reference.greedy(X.tolist(), 25, X_labeled)
    assert ours.radius == cover_radius(X, ours.centers, X_labeled=X_labeled)


@pytest.mark.parametrize("outlier_fraction", [0, 0.02])
def test_radius_follows_no_order(blobs, outlier_fraction):
    X, X_labeled = blobs
    X = X[:100]
    order = np.random.default_rng(1).permutation(len(X))
    kwargs = {"X_labeled": X_labeled, "outlier_fraction": outlier_fraction}
    here = k_center_mip(X, 6, **kwargs)
    there = k_center_mip(X[order], 6, **kwargs)
    # The smallest radius is a property of the set of points.
    assert here.radius == there.radius
    # Without ties, greedy picks the same points.
    greedy = k_center_greedy(X, 6, X_labeled=X_labeled).centers
    permuted = k_center_greedy(X[order], 6, X_labeled=X_labeled).centers
    np.testing.assert_array_equal(order[permuted], greedy)


def test_same_input_same_answer(blobs):
    X, X_labeled = blobs
    first, second = (k_center_mip(X, 8, X_labeled=X_labeled) for _ in range(2))
    np.testing.assert_array_equal(first.centers, second.centers)


@pytest.mark.parametrize("offset", [1e4, 1e7])
def test_far_from_the_origin(blobs, offset):
    X, X_labeled = blobs
    here = k_center_mip(X, 5, X_labeled=X_labeled)
    there = k_center_mip(X + offset, 5, X_labeled=X_labeled + offset)
    # Moving everything moves no distance. (The sum itself rounds to 1e-9.)
    assert there.radius == pytest.approx(here.radius, rel=1e-8)
    assert there.greedy_radius == pytest.approx(here.greedy_radius, rel=1e-8)


def test_two_far_clusters_keep_their_digits():
    # The spread is 1e9 times the radius: squares of norms alone would lose it.
    rng = np.random.default_rng(0)
    near, far = rng.normal(size=(2, 20, 3))
    X = np.concatenate([near, far + 1e9])
    X_labeled = X[[0, 20]]
    ours = cover_radius(X, [1], X_labeled=X_labeled)
    assert ours == pytest.approx(reference.radius(X, [1], X_labeled), **TIGHT)
    assert k_center_greedy(X, 5, X_labeled=X_labeled).centers.tolist() == (
        reference.greedy(X, 5, X_labeled)
    )


def test_more_centers_or_outliers_never_raise_the_radius(blobs):
    X, _ = blobs
    X = X[:60]
    by_centers = [k_center_mip(X, b).radius for b in (2, 4, 8)]
    assert by_centers == sorted(by_centers, reverse=True)
    by_outliers = [k_center_mip(X, 4, outlier_fraction=f).radius for f in (0, 0.1, 1)]
    assert by_outliers == sorted(by_outliers, reverse=True)


def test_known_answer():
    # Two clusters, one stray: with it the radius is 44.5, without it 1.
    X = [[0.0], [1.0], [2.0], [8.0], [9.0], [10.0], [99.0]]
    assert k_center_mip(X, 2, outlier_fraction=0).radius == 8.0
    result = k_center_mip(X, 2, outlier_fraction=0.15)
    assert sorted(result.centers.tolist()) == [1, 4]
    assert result.radius == 1.0


# Degenerate pools.


@pytest.mark.parametrize("solve", [k_center_greedy, k_center_mip])
@pytest.mark.parametrize("X_labeled", [None, [], np.empty((0, 2)), [[3.0, 3.0]]])
def test_degenerate_pools(solve, X_labeled):
    rng = np.random.default_rng(0)
    pools = {
        "all the same": np.ones((6, 2)),
        "two places": np.repeat([[0.0, 0.0], [1.0, 0.0]], 4, axis=0),
        "labelled points again": np.full((5, 2), 3.0),
        "one sample": np.zeros((1, 2)),
        "random": rng.normal(size=(7, 2)),
    }
    for X in pools.values():
        for n_centers in {1, len(X)}:
            result = solve(X, n_centers, X_labeled=X_labeled)
            assert is_selection(result.centers, n_centers, len(X))
            assert result.radius == cover_radius(X, result.centers, X_labeled=X_labeled)
            # All of the pool leaves nothing to cover, and that is optimal.
            assert n_centers < len(X) or (result.radius == 0 and result.proven)


@pytest.mark.parametrize(
    ("outlier_fraction", "n_samples", "n_outliers"),
    [(1e-4, 800, 0), (1e-4, 10_000, 1), (0.29, 100, 29), (0.015, 100, 1), (1, 10, 10)],
)
def test_number_of_outliers(outlier_fraction, n_samples, n_outliers):
    X = np.zeros((n_samples, 1))
    result = k_center_mip(X, 2, outlier_fraction=outlier_fraction)
    assert result.n_outliers == n_outliers


def test_everything_may_stay_uncovered(blobs):
    X, _ = blobs
    result = k_center_mip(X, 3, outlier_fraction=1)
    # Nothing to cover: the greedy centers, at radius 0.
    assert result.radius == 0
    assert result.proven
    np.testing.assert_array_equal(result.centers, k_center_greedy(X, 3).centers)
    assert cover_radius(X, [0], n_outliers=len(X) + 5) == 0


# Out of time, out of memory, interrupted.


@pytest.fixture
def programs(monkeypatch):
    """Deterministic seconds of each program that is solved."""
    seconds, run = [], _program._run_interruptibly

    def spy(solver, model):
        status = run(solver, model)
        seconds.append(solver.response_proto.deterministic_time)
        return status

    monkeypatch.setattr(_program, "_run_interruptibly", spy)
    return seconds


@pytest.mark.parametrize("time_limit", [0, 1e-6, 0.02, 0.5])
def test_out_of_time_is_no_proof(hard, time_limit, programs):
    result = k_center_mip(hard, 12, outlier_fraction=0.05, time_limit=time_limit)
    assert not result.proven
    # A program ends at the next milestone after its limit, and none comes after it.
    assert sum(programs[:-1]) <= time_limit
    assert sum(programs) <= 1.5 * time_limit + 0.01
    # Still a cover, still no worse than greedy, and the bound is below it.
    assert is_selection(result.centers, 12, len(hard))
    assert result.lower_bound < result.radius <= result.greedy_radius
    assert result.radius == cover_radius(
        hard, result.centers, n_outliers=result.n_outliers
    )


def test_no_clock_is_looked_at(blobs, monkeypatch):
    X, X_labeled = blobs
    expected = k_center_mip(X, 8, X_labeled=X_labeled)
    assert expected.proven
    now = itertools.count(step=1000)  # between any two looks much time passes
    with monkeypatch.context() as patch:
        for clock in ("monotonic", "perf_counter", "time", "process_time"):
            patch.setattr(time, clock, lambda: float(next(now)))
        found = k_center_mip(X, 8, X_labeled=X_labeled)
    np.testing.assert_equal(found._asdict(), expected._asdict())


def test_a_busy_machine_gives_the_same_answer(hard):
    def search():
        return k_center_mip(hard, 12, outlier_fraction=0.05, time_limit=0.3)

    expected, is_over = search(), threading.Event()
    assert not expected.proven
    hindrances = [threading.Thread(target=_spin, args=[is_over]) for _ in range(4)]
    for thread in hindrances:
        thread.start()
    try:
        found = search()
    finally:
        is_over.set()
        for thread in hindrances:
            thread.join()
    # Cut short at the same point of the search.
    np.testing.assert_equal(found._asdict(), expected._asdict())


def _spin(is_over):
    while not is_over.is_set():
        sum(range(1000))


def test_what_comes_between_programs_costs_too(hard, monkeypatch):
    # Were distances as dear as a program, they alone would use up the limit.
    monkeypatch.setattr(k_center, "_SECONDS_PER_PAIR", 1.0)
    assert k_center_mip(hard, 12, outlier_fraction=0.05).n_solves == 1
    monkeypatch.setattr(k_center, "_SECONDS_PER_COORDINATE", 1.0)
    result = k_center_mip(hard, 12, outlier_fraction=0.05)
    assert result.lower_bound == 0  # not even the packing was finished


def test_a_program_too_large_is_no_proof(blobs, monkeypatch):
    X, X_labeled = blobs
    whole = k_center_mip(X, 5, X_labeled=X_labeled)
    for limit in (0, 8 * len(X)):
        monkeypatch.setattr(k_center, "_MAX_PAIRS", limit)
        result = k_center_mip(X, 5, X_labeled=X_labeled)
        assert not result.proven
        assert whole.radius <= result.radius <= whole.greedy_radius
        assert result.lower_bound <= whole.radius


def test_greedy_memory_is_linear():
    X = np.random.default_rng(0).normal(size=(50_000, 16))
    tracemalloc.start()
    result = k_center_greedy(X[1_000:], 5, X_labeled=X[:1_000])
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # A copy of the pool and some blocks; 50,000 x 1,000 distances would be 400 MB.
    assert peak < 100e6
    assert is_selection(result.centers, 5, 49_000)


INTERRUPTED = """
    import threading
    import numpy as np
    from ortools.sat.python import cp_model
    from skdfal.cover import _program, k_center_mip

    run = _program._run_interruptibly

    def announced(solver, model):
        if solves.append(None) or len(solves) == 3:
            print("solving", flush=True)
        return run(solver, model)

    _program._run_interruptibly = announced
    X = np.random.default_rng(0).normal(size=(2000, 30))

    def search():
        k_center_mip(X, 40, outlier_fraction=0.03)

    def search_elsewhere():
        thread = threading.Thread(target=search, daemon=True)
        thread.start()
        while thread.is_alive():
            # Without a limit it would miss a signal that another thread is given.
            thread.join(0.1)

    for call in (search, search_elsewhere):
        solves = []
        try:
            call()
        except KeyboardInterrupt:
            print("interrupted", flush=True)
"""


@pytest.mark.skipif(os.name == "nt", reason="sends SIGINT to another process")
def test_ctrl_c_returns_the_terminal():
    """From a search in the main thread, and then from one in another."""
    with _python(INTERRUPTED) as process:
        for _ in range(2):
            assert process.stdout.readline() == "solving\n", process.stderr.read()
            time.sleep(0.3)  # well inside the solver
            assert process.poll() is None
            process.send_signal(signal.SIGINT)
            # The search would take longer than the test has patience.
            assert process.stdout.readline() == "interrupted\n", process.stderr.read()
        out, err = process.communicate(timeout=30)
    assert out == "", err
    assert process.returncode == 0


ENDING = """
    import atexit, threading, time

    # What is registered first runs last: the search has a second to go on in.
    atexit.register(lambda: (print("ending", flush=True), time.sleep(1)))

    import numpy as np
    from ortools.sat.python import cp_model
    from skdfal import k_center_mip

    solve = cp_model.CpSolver.solve
    n_solves, between, goes_on = 0, threading.Event(), threading.Event()

    def announced(solver, model):
        global n_solves
        print("solving", flush=True)
        status = solve(solver, model)
        n_solves += 1
        if n_solves == 3:
            between.set()
            goes_on.wait()
        return status

    cp_model.CpSolver.solve = announced
    X = np.random.default_rng(0).normal(size=(800, 10))
    threading.Thread(
        target=k_center_mip,
        args=[X, 20],
        kwargs={"outlier_fraction": 0.03},
        daemon=True,
    ).start()
    between.wait()
    atexit.register(goes_on.set)
"""


def test_no_program_begins_when_python_ends():
    with _python(ENDING) as process:
        out, err = process.communicate(timeout=60)
    assert out == 3 * "solving\n" + "ending\n", err
    assert process.returncode == 0
    # Whoever searched is not told of it by an error.
    assert err == ""


def _python(code):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_ctrl_c_while_a_program_begins(blobs, monkeypatch):
    from ortools.sat.python import cp_model

    threads, start = [], _program._Run.start

    def interrupted(run):
        threads.append(run)
        raise KeyboardInterrupt

    monkeypatch.setattr(_program._Run, "start", interrupted)
    with pytest.raises(KeyboardInterrupt):
        k_center_mip(blobs[0], 5)
    # The system starts the thread all the same, after all have gone: it does nothing.
    solve = cp_model.CpSolver.solve
    monkeypatch.setattr(
        cp_model.CpSolver, "solve", lambda *args: threads.append(args) or solve(*args)
    )
    (run,) = threads
    start(run)
    run.join()
    assert threads == [run]


def test_an_error_in_the_solver_is_not_lost(blobs, monkeypatch):
    from ortools.sat.python import cp_model

    def fail(solver, model):
        raise MemoryError("no room")

    monkeypatch.setattr(cp_model.CpSolver, "solve", fail)
    with pytest.raises(MemoryError, match="no room"):
        k_center_mip(blobs[0], 5)


def test_works_outside_the_main_thread(blobs):
    X, X_labeled = blobs
    results = []
    thread = threading.Thread(
        target=lambda: results.append(k_center_mip(X, 5, X_labeled=X_labeled))
    )
    thread.start()
    thread.join()
    assert results[0].proven


# Bad input.


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"n_centers": 50}, r"n_centers=50 should be <= n_samples=32\."),
        ({"n_centers": 0}, "n_centers"),
        ({"n_centers": 2.0}, "n_centers"),
        ({"X": np.full((32, 2), np.nan)}, "X contains NaN"),
        ({"X": np.full((32, 2), np.inf)}, "X contains infinity"),
        ({"X": np.full((32, 2), 1e200)}, "X holds a value beyond 1e\\+150"),
        ({"X": np.zeros(32)}, "Expected 2D array"),
        ({"X": np.empty((0, 2))}, "0 sample"),
        ({"X": 3}, "X"),
        ({"X_labeled": np.zeros((4, 3))}, "X_labeled has 3 features, but X has 2"),
        ({"X_labeled": [[0.0, np.nan]]}, "X_labeled contains NaN"),
        ({"X_labeled": np.zeros(4)}, "Expected 2D array"),
    ],
)
@pytest.mark.parametrize("solve", [k_center_greedy, k_center_mip])
def test_bad_input(solve, change, message):
    X = np.random.default_rng(0).normal(size=(32, 2))
    arguments = {"X": X, "n_centers": 3, "X_labeled": None} | change
    with pytest.raises(ValueError, match=message):
        solve(**arguments)


@pytest.mark.parametrize(
    "parameter",
    [
        {"outlier_fraction": -0.1},
        {"outlier_fraction": 1.5},
        {"outlier_fraction": np.nan},
        {"time_limit": -1},
        {"time_limit": None},
    ],
)
def test_bad_parameters(parameter):
    (name,) = parameter
    with pytest.raises(ValueError, match=name):
        k_center_mip(np.zeros((4, 2)), 2, **parameter)


@pytest.mark.parametrize(
    ("centers", "message"),
    [
        ([4], r"centers should lie in \[0, n_samples=4\)"),
        ([-1], r"centers should lie in \[0, n_samples=4\)"),
        ([0.5], "integer indices"),
        ([True, False, False, False], "integer indices"),
        ([[0, 1]], "one-dimensional"),
        ([], "neither centers nor labelled points"),
    ],
)
def test_bad_centers(centers, message):
    with pytest.raises(ValueError, match=message):
        cover_radius(np.zeros((4, 2)), centers)


@pytest.mark.parametrize("solve", [k_center_greedy, k_center_mip])
@pytest.mark.parametrize(
    "convert",
    [
        lambda X: X.tolist(),
        lambda X: X.astype(np.float16),
        lambda X: X.astype(np.int8),
        lambda X: np.ma.masked_greater(X, 100),
        torch.from_numpy,
        lambda X: torch.from_numpy(X).requires_grad_(),
        lambda X: torch.from_numpy(X).half(),
        lambda X: torch.from_numpy(X).bfloat16().requires_grad_(),
        lambda X: torch.from_numpy(X).to(torch.uint8),
        lambda X: torch.from_numpy(X).to(
            "cuda" if torch.cuda.is_available() else "cpu"
        ),
    ],
)
def test_points_of_every_kind(solve, convert):
    X = np.random.default_rng(0).integers(0, 10, size=(20, 3)).astype(float)
    expected = solve(X[4:], 3, X_labeled=X[:4])
    points = convert(X)
    found = solve(points[4:], 3, X_labeled=points[:4])
    np.testing.assert_array_equal(found.centers, expected.centers)
    radius = cover_radius(points[4:], found.centers, X_labeled=points[:4])
    assert radius == expected.radius


def with_a_gap(X):
    return np.ma.array(X, mask=[[True, False], *[[False, False]] * (len(X) - 1)])


@pytest.mark.parametrize("solve", [k_center_greedy, k_center_mip])
@pytest.mark.parametrize(
    ("convert", "message"),
    [
        (with_a_gap, "is a masked array with 1 masked values"),
        (
            lambda X: torch.from_numpy(X).to("meta"),
            "should be a dense tensor .* device meta",
        ),
        (
            lambda X: torch.from_numpy(X).to_sparse(),
            "should be a dense tensor .* layout torch.sp",
        ),
    ],
)
def test_points_without_values(solve, convert, message):
    X = np.ones((10, 2))
    with pytest.raises(ValueError, match="X " + message):
        solve(convert(X), 3)
    with pytest.raises(ValueError, match="X_labeled " + message):
        solve(X, 3, X_labeled=convert(X))


def test_greedy_knows_half_of_its_radius_and_solves_no_program():
    result = k_center_greedy([[0.0], [1.0], [2.0], [9.0]], 2)
    assert (result.radius, result.lower_bound, result.n_solves) == (2.0, 1.0, 0)
    assert (result.greedy_radius, result.proven, result.n_outliers) == (2.0, False, 0)


@pytest.mark.parametrize(
    ("n_outliers", "radius"), [(0, 5.0), (1, 2.0), (2, 1.0), (3, 0.0)]
)
def test_outliers_are_left_aside_down_to_none(n_outliers, radius):
    X, X_labeled = [[0.0], [1.0], [4.0]], [[-1.0]]
    assert cover_radius(X, [], X_labeled=X_labeled, n_outliers=n_outliers) == radius
