"""One 0-1 program: can some balls of a given radius cover all points but a few?

This is the only file that imports OR-tools. It also takes care that the solver does not
depend on a clock, block Ctrl-C, or still run when Python exits.
"""

import atexit
import threading
import weakref

import numpy as np
from sklearn.utils import gen_batches

# Deterministic seconds per multiplication in `_reduce`; close to real seconds.
_SECONDS_PER_PRODUCT = 4e-11


class Budget:
    """Time limit in deterministic seconds: it counts work and never reads a clock.

    CP-SAT counts its own work; the work between programs is charged by its size.
    """

    def __init__(self, seconds):
        self.left = seconds

    def charge(self, seconds):
        self.left -= seconds


def solve_cover(within, n_centers, n_outliers, budget):
    """Decide whether `n_centers` columns of `within` cover all but `n_outliers` rows.

    Parameters
    ----------
    within : ndarray of bool, of shape (n_rows, n_columns)
        Whether each point (row) lies in each ball (column).
    n_centers, n_outliers : int
        Maximum number of balls, and of points that lie in none of them.
    budget : Budget
        Budget, which is charged for the work done.

    Returns
    -------
    feasible : bool or None
        Whether there is a cover; None if the budget was too small to decide.
    columns : list of int, or None
        Balls of the cover, if there is one.
    """
    from ortools.sat.python import cp_model

    rows, columns = _reduce(within, n_outliers)
    budget.charge(within.size * len(columns) * _SECONDS_PER_PRODUCT)
    if budget.left <= 0:
        return None, None
    within = within[np.ix_(rows, columns)]
    model = cp_model.CpModel()
    u = [model.new_bool_var(f"u_{j}") for j in columns]
    o = [model.new_bool_var(f"o_{i}") for i in rows] if n_outliers else []
    # At most b samples become centers.
    model.add(sum(u) <= n_centers)
    # Each sample has a center within δ, or is an outlier.
    for i, row in enumerate(within):
        model.add_bool_or([u[j] for j in np.flatnonzero(row)] + o[i : i + 1])
    # At most Ξ samples are outliers.
    model.add(sum(o) <= n_outliers)
    # Any objective would do: it gives the linear relaxation something to bound. The
    # bound proves in seconds what the clauses alone do not prove in minutes.
    model.minimize(sum(o) if n_outliers else sum(u))

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1  # several would race, so results would differ
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2  # the relaxation includes clauses, too
    solver.parameters.catch_sigint_signal = False
    solver.parameters.max_deterministic_time = budget.left
    status = _run_interruptibly(solver, model)
    budget.charge(solver.response_proto.deterministic_time)
    if status == cp_model.INFEASIBLE:
        return False, None
    if status not in (cp_model.OPTIMAL, cp_model.FEASIBLE):
        return None, None
    chosen = [solver.boolean_value(u_j) for u_j in u]
    return True, columns[chosen].tolist()


def _reduce(within, n_outliers):
    """Rows and columns that suffice: a cover of these is a cover of all."""
    rows, columns = np.arange(within.shape[0]), np.arange(within.shape[1])
    while True:
        size = len(rows) + len(columns)
        # A center that covers a subset of what another covers is not needed.
        columns = columns[_maximal(within[np.ix_(rows, columns)])]
        if n_outliers:  # rows may be outliers, so none is implied by another
            return rows, columns
        # Covering a sample with few neighbours also covers those with a superset of
        # them.
        rows = rows[_maximal(~within[np.ix_(rows, columns)].T)]
        if len(rows) + len(columns) == size:
            return rows, columns


def _maximal(A):
    """Columns of a boolean matrix that no other contains; the first of equal ones."""
    n_true = A.sum(axis=0)
    order = np.argsort(-n_true, kind="stable")  # supersets come first
    keep, kept = [], np.empty((len(A), 0), dtype=np.float32)
    for batch in gen_batches(len(order), 512):
        block = order[batch]
        a = A[:, block].astype(np.float32)
        block, a = _drop(block, a, _inside(a, kept, n_true[block]))
        inside = _inside(a, a, n_true[block]) & np.tri(len(block), k=-1, dtype=bool)
        block, a = _drop(block, a, inside)
        keep, kept = [*keep, block], np.hstack([kept, a])
    return np.sort(np.concatenate(keep))


def _inside(a, others, n_true):
    """Whether each column of `a` is contained in each of `others`.

    This holds if the number of shared rows equals the number of rows in the column.
    """
    return a.T @ others > n_true[:, np.newaxis] - 0.5


def _drop(block, a, inside):
    """Remove the columns that are contained in another one."""
    alone = ~inside.any(axis=1)
    return block[alone], a[:, alone]


# Running the solver in a thread.


class _Run(threading.Thread):
    """A thread that runs the solver, since Python ignores Ctrl-C while in C++."""

    def __init__(self, solver, model):
        super().__init__(daemon=True)
        self.solver = solver
        self.model = model
        self.status = self.error = None
        # Not join: when interrupted, it marks a running thread as finished (< 3.13).
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.is_called_off = self.has_begun = False

    def run(self):
        try:
            with self.lock:
                self.has_begun = not self.is_called_off
            if self.has_begun:
                self.status = self.solver.solve(self.model)
        except BaseException as exc:  # re-raised in the caller's thread
            self.error = exc
        finally:
            self.done.set()

    def stop(self):
        """Stop, and wait until the thread has left C++ and will not enter it again."""
        with self.lock:
            self.is_called_off = True  # Ctrl-C may come while the thread starts
        while self.has_begun and self.is_alive() and not self.done.is_set():
            self.solver.stop_search()
            self.done.wait(0.05)


class _Exit:
    """Handle the exit of Python: stop running solvers and start no new ones.

    A thread that is in C++ at that moment would abort the process. Ctrl-C leaves such
    threads behind if the caller is itself a daemon thread.
    """

    def __init__(self):
        self.lock = threading.Lock()
        self.has_come = False
        self.runs = weakref.WeakSet()

    def start(self, run):
        with self.lock:
            self.check()
            self.runs.add(run)
            run.start()

    def check(self):
        """End this thread, and no other, once Python exits."""
        if self.has_come:
            raise SystemExit("Python is exiting: the search for a cover has stopped.")

    def come(self):
        with self.lock:
            self.has_come = True
        for run in self.runs:
            run.stop()


_EXIT = _Exit()
atexit.register(_EXIT.come)


def _run_interruptibly(solver, model):
    """Solve; Ctrl-C stops the solver at once."""
    run = _Run(solver, model)
    try:
        _EXIT.start(run)
        while not run.done.wait(0.1):  # without a timeout, Windows ignores Ctrl-C
            pass
    except BaseException:
        run.stop()
        raise
    _EXIT.check()  # an answer cut short by the exit does not count
    if run.error is not None:
        raise run.error
    return run.status
