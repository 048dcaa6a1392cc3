"""One 0-1 program: whether some balls of a radius cover all points but a few.

The one file that imports OR-tools, and the one that knows what it must not do: depend
on a clock, shut out Ctrl-C, or be found running when Python ends.
"""

import atexit
import threading
import weakref

import numpy as np
from sklearn.utils import gen_batches

# Deterministic seconds of one multiplication in `_reduce`, near a clock's.
_SECONDS_PER_PRODUCT = 4e-11


class Budget:
    """Deterministic seconds: work done is counted, no clock is looked at.

    CP-SAT counts its own; what is done between programs is charged by size.
    """

    def __init__(self, seconds):
        self.left = seconds

    def charge(self, seconds):
        self.left -= seconds


def solve_cover(within, n_centers, n_outliers, budget):
    """Ask whether `n_centers` columns of `within` cover all but `n_outliers` rows.

    Parameters
    ----------
    within : ndarray of bool, of shape (n_rows, n_columns)
        Which point lies in which ball.
    n_centers, n_outliers : int
        How many balls there may be, and how many points that lie in none.
    budget : Budget
        Charged with what was done.

    Returns
    -------
    feasible : bool or None
        None where the budget was too small to know.
    columns : list of int, or None
        The balls, where there is an answer and it is yes.
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
    # Any objective would do: it gives the linear relaxation something to bound, and
    # the bound proves in seconds what the clauses alone do not in minutes.
    model.minimize(sum(o) if n_outliers else sum(u))

    solver = cp_model.CpSolver()
    solver.parameters.num_workers = 1  # several would race, and answers would differ
    solver.parameters.random_seed = 0
    solver.parameters.linearization_level = 2  # clauses too enter the relaxation
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
        # A center that covers no more than another does is not needed.
        columns = columns[_maximal(within[np.ix_(rows, columns)])]
        if n_outliers:  # a row implied by an outlier is implied no more
            return rows, columns
        # Whoever covers a sample of few neighbours covers those with more of them.
        rows = rows[_maximal(~within[np.ix_(rows, columns)].T)]
        if len(rows) + len(columns) == size:
            return rows, columns


def _maximal(A):
    """Columns of a boolean matrix that no other column contains, first of equals."""
    n_true = A.sum(axis=0)
    order = np.argsort(-n_true, kind="stable")  # what contains a column comes first
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

    It is where the two share as many rows as the column has at all.
    """
    return a.T @ others > n_true[:, np.newaxis] - 0.5


def _drop(block, a, inside):
    """Leave out the columns that lie inside some other."""
    alone = ~inside.any(axis=1)
    return block[alone], a[:, alone]


# In a thread.


class _Run(threading.Thread):
    """A thread that solves, since Python hears no Ctrl-C while it is inside C++."""

    def __init__(self, solver, model):
        super().__init__(daemon=True)
        self.solver = solver
        self.model = model
        self.status = self.error = None
        # Not join: interrupted, it calls a running thread finished (Python < 3.13).
        self.done = threading.Event()
        self.lock = threading.Lock()
        self.is_called_off = self.has_begun = False

    def run(self):
        try:
            with self.lock:
                self.has_begun = not self.is_called_off
            if self.has_begun:
                self.status = self.solver.solve(self.model)
        except BaseException as exc:  # for the caller's thread
            self.error = exc
        finally:
            self.done.set()

    def stop(self):
        """Stop, and wait until the thread is not in C++, and will not be."""
        with self.lock:
            self.is_called_off = True  # Ctrl-C comes while a thread starts, too
        while self.has_begun and self.is_alive() and not self.done.is_set():
            self.solver.stop_search()
            self.done.wait(0.05)


class _Exit:
    """Where Python ends: runs that go on are stopped, and none begins any more.

    A thread that is inside C++ at that moment aborts the process. Ctrl-C leaves such
    threads behind where the caller is a daemon thread itself.
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
        """End the thread, and no other, once Python ends."""
        if self.has_come:
            raise SystemExit("Python is ending: no cover is searched any more.")

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
        while not run.done.wait(0.1):  # without a limit, Windows would not hear it
            pass
    except BaseException:
        run.stop()
        raise
    _EXIT.check()  # an answer that the end cut short is none
    if run.error is not None:
        raise run.error
    return run.status
