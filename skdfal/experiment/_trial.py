"""Run one trial: one strategy, one data set, one seed, with one row per round."""

import inspect
import math
import time
import warnings
from contextlib import contextmanager
from functools import partial

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from skdfal._utils._files import write_csv, write_json, write_npz
from skdfal.analysis import calibration_error
from skdfal.augment import AdversarialAugmenter
from skdfal.datasets import split_pool
from skdfal.experiment._data import derive_seed, load_data
from skdfal.experiment._folder import COLUMNS, FolderError, TrialFiles, read_records
from skdfal.experiment._names import find_strategy, strategy_name
from skdfal.learner import ActiveLearningClassifier, LabelingSession
from skdfal.strategies import STRATEGIES

_N_TWINS = 8  # in the picture


def run_trial(
    protocol, strategy, trial, *, seed=0, out_dir, device="cpu", monitor=None
):
    """Run one trial, or the rest of an interrupted one.

    Rows are written to ``trials/<strategy>-<trial>.csv`` in ``out_dir`` after each
    round. After a kill, the same call continues the trial and ends with the same file.

    Parameters
    ----------
    protocol : Protocol
        The experiment.
    strategy : str or callable
        A name in ``skdfal.strategies.STRATEGIES``. For a strategy of your own,
        ``"module:function"`` or the function itself.
    trial : int
        Number of the trial. Together with the seed it determines the pool, the initial
        samples and the weights, which all strategies share.
    seed : int, default=0
        Seed of the experiment.
    out_dir : path-like
        Folder of the experiment.
    device : str, default="cpu"
        Device to train on.
    monitor : callable, default=None
        Function called with each new row.

    Returns
    -------
    records : list of dict
        The rows of the whole trial.

    Raises
    ------
    ValueError
        If the strategy does not exist, or is a function that cannot be imported by its
        name.
    FolderError
        If the rows in the folder do not match the rounds that were done.
    OSError
        If a file cannot be written; existing files are kept.

    Examples
    --------
    >>> from tempfile import TemporaryDirectory
    >>> from skdfal.experiment import Protocol, run_trial
    >>> protocol = Protocol("digits", max_annotations=20, max_epochs=1, n_test=50)
    >>> with TemporaryDirectory() as folder:
    ...     rows = run_trial(protocol, "random", 0, out_dir=folder)
    >>> [row["annotations"] for row in rows]
    [10, 20]
    """
    strategy = strategy_name(strategy)
    what = find_strategy(strategy)
    files = TrialFiles(out_dir, strategy, trial)
    files.folder.mkdir(parents=True, exist_ok=True)
    files.clean()
    if files.is_finished():
        return read_records(files.rows)

    started = time.perf_counter()
    data = load_data(protocol)
    used = samples_of_trial(protocol, data, trial, seed)
    names = (seed, protocol.dataset, protocol.net, trial)
    learner = _learner(
        protocol,
        strategy,
        data,
        device,
        checkpoint=files.checkpoint,
        random_state=derive_seed(*names, "training"),
    )
    X_test, y_test = samples_to_score(protocol, data, seed)
    with _cut_short_noted(files):
        learner.fit(
            data.X_train[used],
            data.y_train[used],
            X_val=X_test,
            y_val=y_test,
            monitor=partial(_write_row, protocol, files, monitor),
        )
        if what.augmenter is AdversarialAugmenter:
            _save_twins(files.twins, learner, data, used)
    _save_training_set(files.training_set, learner, used)
    end = {
        "seed": learner.random_state,
        "initial": used[learner.annotated_indices_[: protocol.n_initial]].tolist(),
        "annotated": used[learner.annotated_indices_].tolist(),
        "stopped": learner.termination_condition_,
        "calibration_error": _calibration_error(
            learner, X_test, y_test, len(data.target_names)
        ),
        "seconds": time.perf_counter() - started,
        "fit_seconds": [row["fit_seconds"] for row in learner.history_],
        "query_seconds": [
            None if math.isnan(row["query_seconds"]) else row["query_seconds"]
            for row in learner.history_
        ],
        "n_cut_short": len(files.rounds_cut_short()),
    }
    write_json(files.end, end)
    files.clean()
    return read_records(files.rows)


def check_loop(protocol, strategy, data, device="cpu"):
    """Raise the errors that a trial would raise before its first training.

    Parameters
    ----------
    protocol : Protocol
        The experiment.
    strategy : str
        Name of the strategy.
    data : Bunch
        Result of :func:`load_data`.
    device : str, default="cpu"
        Device to train on.

    Raises
    ------
    TypeError, ValueError
        If the strategy does not take its parameters, or cannot handle such samples.
    """
    given = _learner(protocol, strategy, data, device).get_params(deep=False)
    del given["n_instances"]  # only the classifier takes a list
    shared = given.keys() & inspect.signature(LabelingSession).parameters.keys()
    classes = range(len(data.target_names))
    LabelingSession(data.X_train, classes, **{name: given[name] for name in shared})


def _learner(protocol, strategy, data, device, **settings):
    """Return the classifier of a strategy, which starts from the first samples."""
    what = find_strategy(strategy)
    name, plus, _ = strategy.partition("+")
    own = protocol.augmenter_params.get(strategy)
    augmenter = None
    if plus:  # in place of the strategy's own augmenter
        augmenter = [what.augmenter(**own or {})] if what.augmenter else []
    return ActiveLearningClassifier(
        protocol.make_net(data, device, strategy),
        name if name in STRATEGIES else what.function,
        augmenter=augmenter,
        augmenter_params=None if plus else own,
        n_initial=protocol.n_initial,
        initial=(
            np.arange(protocol.n_initial)
            if protocol.initial == "random"
            else protocol.initial
        ),
        n_instances=np.diff(protocol.rounds()).tolist() or 1,
        max_annotations=protocol.max_annotations,
        n_candidates=protocol.candidates_of(strategy),
        query_params=protocol.params_of(strategy),
        **settings,
    )


def _write_row(protocol, files, monitor, _, row):
    """Add the row of a round to the file of a trial, and call the monitor."""
    row = {
        "dataset": protocol.dataset,
        "net": protocol.net,
        "strategy": files.strategy,
        "trial": files.trial,
        "round": protocol.rounds().index(row["annotations"]),
        **{name: row[name] for name in COLUMNS if name in row},
    }
    # The round of a kill is trained again, and may have a row already.
    rows = [r for r in read_records(files.rows) if r["round"] < row["round"]]
    if len(rows) != row["round"]:
        raise FolderError(
            f"{files.rows} has {len(rows)} of the {row['round']} rounds done. "
            f"Delete it and {files.checkpoint.name} to run the trial again."
        )
    write_csv(files.rows, [*rows, row], COLUMNS)
    if monitor is not None:
        monitor(row)


@contextmanager
def _cut_short_noted(files):
    """Note the rounds whose query reached its ``time_limit``, across kills.

    Other warnings are not needed: for early networks there are samples that DeepFool
    cannot move, and the column labeled_data shows how many twins there are.
    """
    show = warnings.showwarning

    def keep(message, category, *rest):
        if issubclass(category, ConvergenceWarning):
            files.note_cut_short()
        else:
            show(message, category, *rest)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        warnings.filterwarnings("always", "(?s).*time_limit", ConvergenceWarning)
        warnings.showwarning = keep
        yield


def samples_of_trial(protocol, data, trial, seed):
    """Return the indices of the samples of a trial, the initial samples first."""
    split = split_pool(
        data.y_train,
        n_initial=protocol.n_initial,
        n_pool=protocol.n_pool,
        random_state=derive_seed(seed, protocol.dataset, protocol.net, trial, "pool"),
    )
    return np.concatenate([split.initial, split.pool])


def samples_to_score(protocol, data, seed):
    """Return the test samples of an experiment, and their labels."""
    if protocol.n_test is None:
        return data.X_test, data.y_test
    rng = np.random.RandomState(derive_seed(seed, protocol.dataset, "test"))
    chosen = rng.permutation(len(data.y_test))[: protocol.n_test]
    return data.X_test[chosen], data.y_test[chosen]


def _calibration_error(learner, X, y, n_classes):
    """Return the calibration error; classes missing in the pool have probability 0."""
    proba = np.zeros((len(y), n_classes))
    proba[:, learner.classes_] = learner.predict_proba(X)
    return calibration_error(y, proba)


def _save_twins(path, learner, data, used):
    """Save the newest samples that the network classifies correctly, with their twins.

    A twin is an adversarial example of the sample and has the same label. If the
    network is wrong on the sample, comparing its label with the prediction for the twin
    would say nothing.
    """
    queried = used[learner.annotated_indices_[::-1]]
    X, y = data.X_train[queried], data.y_train[queried]
    right = np.flatnonzero(learner.predict(X) == y)[:_N_TWINS]
    if not len(right):
        return
    X, y = X[right], y[right]
    X_twin = AdversarialAugmenter(learner.estimator_, prefit=True).transform(X)
    write_npz(
        path,
        X=X,
        X_twin=X_twin,
        y=y,
        y_twin=learner.predict(X_twin),
        class_names=data.target_names,
    )


def _save_training_set(path, learner, used):
    """Save the last training set: indices of samples, and the twins themselves."""
    is_twin = learner.train_indices_ < 0
    indices = np.where(is_twin, -1, used[learner.train_indices_])
    write_npz(
        path,
        indices=indices,
        X_twins=learner.X_train_[is_twin],
        y_twins=learner.y_train_[is_twin],
    )


def load_training_set(path, data, annotations):
    """Return the training set of a trial at a number of annotations.

    Parameters
    ----------
    path : path-like
        The ``training_set`` of its :class:`TrialFiles`.
    data : Bunch
        Result of :func:`load_data`.
    annotations : int
        Number of annotations at one of its rounds.

    Returns
    -------
    X : ndarray of shape (n_labeled, ...)
        Annotated samples and their twins.
    y : ndarray of shape (n_labeled,)
        Labels of the training set.
    """
    with np.load(path) as saved:
        indices, X_twins, y_twins = (
            saved[name] for name in ("indices", "X_twins", "y_twins")
        )
    is_twin = indices < 0
    X = data.X_train[indices].astype(X_twins.dtype, copy=False)  # as for training
    y = data.y_train[indices]  # those of twins are overwritten below
    X[is_twin], y[is_twin] = X_twins, y_twins
    # The twins of a round follow its samples: all up to the next sample belong to it.
    bought = np.cumsum(~is_twin)
    return X[bought <= annotations], y[bought <= annotations]
