"""LabelingSession: Algorithm 1 of the DFAL paper, with questions and answers."""

import functools
import os
import threading
import time
from collections.abc import Iterator

import numpy as np
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.utils import check_random_state

from skdfal._utils._seeds import seeded
from skdfal._utils._validation import (
    COUNT,
    COUNT_OR_ZERO,
    HasMethods,
    StrOptions,
    check_values,
)
from skdfal.adapter import predicted_codes, proba_of_classes
from skdfal.adapter._check import check_net
from skdfal.adapter._training import as_numpy
from skdfal.learner._classes import Classes
from skdfal.learner._identity import digest, parameter_digests
from skdfal.learner._labeled_set import Extra, LabeledSet, TrainingSet
from skdfal.learner._method import Method
from skdfal.learner._samples import columns_of, samples_for
from skdfal.learner._store import RunStore, read_labels
from skdfal.learner._trainer import Trainer
from skdfal.learner._view import samples_of, spilled

_INITIAL, _TRAIN, _CANDIDATES, _QUERY, _TWINS = range(5)  # purposes of random numbers
_OF_RULE = "rule: "  # prefix for the state of a stopping rule
_N_KEPT = 2  # rounds whose weights stay in the file: a last short one may be redone


def _one_at_a_time(method):
    """Make a second thread wait until the first is done."""

    @functools.wraps(method)
    def locked(self, *args, **kwargs):
        with self._lock:
            return method(self, *args, **kwargs)

    return locked


def _locked_property(getter):
    return property(_one_at_a_time(getter))


class LabelingSession:
    """Interactive active learning: ask for labels, receive them, train, and repeat.

    This is Algorithm 1 of the DFAL paper [1]_ for a pool that has not been labelled
    yet: a person, a file or another program answers the queries. Of the calls,
    :meth:`tell` is instant and :meth:`fit` is slow.

    Parameters
    ----------
    X : pool
        Pool of samples: an array of shape (n_samples, ...), a memmap, a zarr or HDF5
        array, a torch Dataset, a :class:`~skdfal.pool.FilePool` or a data frame.
        Samples are read when they are needed; the pool is never copied as a whole.
    classes : sequence of str, int, float or bool
        All possible labels, at least two.
    estimator : estimator, default=None
        Classifier to train: a skorch net, a Pipeline that ends in one or, for
        strategies that need no network, any scikit-learn classifier. It is cloned. A
        network needs one output per class. If None, a small network is chosen by the
        shape of ``X``: LeNet5 for images of at least 16 pixels a side, an MLP
        otherwise.
    query_strategy : str or callable, default="dfal"
        Name of a strategy in ``skdfal.strategies.STRATEGIES``, or a function
        ``(estimator, X, n_instances, **query_params)`` that returns indices into
        ``X``, such as one of modAL's. A function that has parameters of these names
        is given ``random_state``; ``X_labeled`` and ``y_labeled``, the labelled
        samples and their labels as codes into ``classes``; ``pool_indices``, the
        positions in the pool of the rows of its ``X``; and ``X_unlabeled``, all
        unlabelled samples.
    augmenter : augmenter or list of augmenters, default=None
        Adds samples to the training set without new annotations. If None, the
        strategy's own augmenter is used, if it has one; an empty list adds nothing.
        For an augmenter of your own, see the Notes.
    augmenter_params : dict, default=None
        Parameters of the strategy's own augmenter, such as ``clip_range`` for the
        twins of "dfal".
    n_instances : int, default=10
        Number of samples that :meth:`fit` ranks for the next :meth:`ask`. If you ask
        for more, :meth:`ask` queries the rest, which takes as long as another query.
    n_candidates : int, "auto" or None, default="auto"
        Number of candidates drawn at random from the pool in each round; only these
        are scored. This is the paper's K. "auto" uses the number that suits the
        strategy. If None, or if no more are left, the whole pool is scored.
    query_params : dict, default=None
        Further parameters of the strategy. For a strategy with a parameter
        ``X_labeled``, ``{"X_labeled": "train"}`` passes all training samples, including
        twins, and their codes as ``y_labeled``.
    warm_start : bool, default=False
        Whether to continue training the network of the previous round. If False, each
        round trains from scratch, as the paper does.
    stopping : rule, default=None
        Rule that tells when further labels would hardly help, such as
        :class:`StabilizingPredictions`. It is cloned. Its answer is ``should_stop_``.
    random_state : int, RandomState instance or None, default=None
        Controls the first samples, the training, the candidates and the breaking of
        ties. If None and ``path`` is given, a seed is drawn once and saved.
    path : str or path-like, default=None
        File to keep the session in: labels are on disk before :meth:`tell` returns. A
        session with the same parameters and ``path`` continues from there, also in
        another process. Only one session at a time may have the file open.
    verbose : int, default=0
        If 1, print one line per round; if 2, also the network's own output per epoch.

    Attributes
    ----------
    estimator_ : estimator
        The classifier of the last round, trained on codes into ``classes_``.
    classes_ : ndarray of shape (n_classes,)
        The classes, in the given order.
    history_ : list of dict
        One row per round: "annotations" (labelled samples), "labeled_data" (training
        samples, including twins and pseudo-labels), "fit_seconds" and "query_seconds"
        (including the time for twins; NaN if nothing was queried).
    should_stop_ : bool
        Whether ``stopping`` would stop here. The session itself goes on regardless.
    labels_ : dict
        The labels told so far, by index.
    annotated_indices_ : ndarray of shape (n_annotations,)
        Indices into ``X`` of the labelled samples, in the order in which they were
        first told.
    skipped_indices_ : ndarray of shape (n_skipped,)
        Indices into ``X`` of the skipped samples.
    X_train_ : array of shape (n_labeled, ...)
        The present training set: labelled samples and their twins.
    y_train_ : ndarray of shape (n_labeled,)
        Labels of the training set.
    train_indices_ : ndarray of shape (n_labeled,)
        Index into ``X`` of each training sample, -1 for a twin.
    train_parents_ : ndarray of shape (n_labeled,)
        Index into ``X`` of the sample that each training sample was made from: its own
        index if it is a sample of the pool, -1 if the parent is unknown.

    Raises
    ------
    ValueError
        If a parameter is out of its range; if the network cannot take the samples, or
        has fewer outputs than there are classes.
    TypeError
        If the strategy needs a network, but ``estimator`` has none.
    CheckpointError
        A ValueError, if ``path`` holds another run, is in use by another session, or
        is not a saved session. The file is left unchanged.
    UnidentifiableError
        A TypeError, if ``path`` is given but the content of a parameter cannot be
        hashed, so that the saved run could not be recognised.

    See Also
    --------
    ActiveLearningClassifier : The same loop, with ``y`` answering each query.

    Notes
    -----
    A twin is an adversarial example of a labelled sample and has the same label. It
    follows its parent: if the parent's label is corrected, so is the twin's; if the
    label is retracted, the twin is removed.

    Only one thread at a time may call a session; others wait, so that :meth:`tell`
    waits for the end of a running :meth:`fit`. Nothing in the file is executed when it
    is read.

    A fit is reproducible on the same machine with the same number of threads. The
    weights of a network are restored from the file; a Pipeline or another classifier is
    trained again, on the same samples and from the same seed.

    An augmenter is an object with a method ``augment(estimator, X, y, X_pool,
    n_round)``. It gets the network of the round, the newly labelled samples, their
    codes and a view of the unlabelled samples. It returns

    - the samples to train on,
    - their codes,
    - and, optionally, the position in its ``X`` of the parent of each, -1 for none.
      Without these positions, correcting or retracting a label removes all lasting
      samples that came from the same call.

    Its attributes decide the rest. If ``is_lasting`` is true, its samples stay in the
    training set; otherwise they are used in the next round only. With ``renews =
    True`` it gets all labelled samples in each round, not only the new ones. With
    ``uses_pool = False`` the view is empty, and with ``uses_pool = "candidates"`` it
    contains K unlabelled samples drawn at random.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal.learner import LabelingSession
    >>> X, y = make_blobs(200, centers=2, random_state=0)
    >>> session = LabelingSession(X, classes=["left", "right"], random_state=0)
    >>> for _ in range(3):
    ...     asked = session.ask(10)
    ...     session.tell(asked, ["left" if y[i] else "right" for i in asked])
    ...     session = session.fit()
    >>> len(session.labels_), session.X_train_.shape
    (30, (50, 2))
    >>> session.predict(X[:2]).shape
    (2,)
    """

    _skl_parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "augmenter": [HasMethods(["augment"]), list, tuple, None],
        "augmenter_params": [dict, None],
        "n_instances": [COUNT],
        "n_candidates": [COUNT, StrOptions({"auto"}), None],
        "query_params": [dict, None],
        "warm_start": ["boolean"],
        "stopping": [HasMethods(["update"]), None],
        "random_state": ["random_state"],
        "path": [str, os.PathLike, None],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        X,
        classes,
        estimator=None,
        query_strategy="dfal",
        *,
        augmenter=None,
        augmenter_params=None,
        n_instances=10,
        n_candidates="auto",
        query_params=None,
        warm_start=False,
        stopping=None,
        random_state=None,
        path=None,
        verbose=0,
    ):
        given = {name: v for name, v in locals().items() if name != "self"}
        check_values(LabelingSession, given)
        self._lock = threading.RLock()
        self._store = None
        self._classes = Classes(classes)
        self.classes_ = self._classes.labels
        self._pool, self._columns = samples_for(estimator, X), columns_of(X)
        self._method = Method(
            query_strategy,
            query_params,
            augmenter,
            augmenter_params,
            n_candidates,
            len(self.classes_),
        )
        self._trainer = Trainer(
            estimator,
            warm_start,
            len(self.classes_),
            self._pool,
            self._method.strategy.net_params,
        )
        self._method.check_estimator(self._pool, self._trainer.template)
        if estimator is not None:  # what is made here is made for the samples
            check_net(self._trainer.template, self._pool, self.classes_)
        if verbose > 1:
            self._trainer.show_epochs()
        self._n_instances, self._verbose = n_instances, verbose
        self._rule = None if stopping is None else clone(stopping, safe=False)
        run = None if path is None else self._identity(given)
        self._seed = check_random_state(random_state).randint(2**31 - 1)
        if path is not None:
            self._store = self._open(path, run)
            self._seed = self._store.meta["seed"]
        self._load()

    def _identity(self, parameters):
        """Return digests of everything that decides the result, by name."""
        run = {"X": self._pool.digest(), "classes": digest(self.classes_, "classes")}
        for name in parameters.keys() - {"X", "classes", "path", "verbose"}:
            run |= parameter_digests(name, parameters[name])
        return run

    def _open(self, path, run):
        return RunStore(path, run, {"seed": self._seed}, is_of_a_person=True)

    # State

    @_locked_property
    def estimator_(self):
        if not self.history_:
            raise NotFittedError(
                "This LabelingSession has no estimator_ before the first fit()."
            )
        if self._estimator is None:
            self._estimator = self._restore()
        return self._estimator

    @_locked_property
    def labels_(self):
        told = self._labels.told.items()
        classes = self.classes_.tolist()
        return {i: classes[label.code] for i, label in told}

    @_locked_property
    def annotated_indices_(self):
        return self._labels.annotated()

    @_locked_property
    def skipped_indices_(self):
        return np.flatnonzero(self._labels.is_skipped)

    @_locked_property
    def X_train_(self):
        return self._labels.training_set().gather(self._pool, self._labels.extras)

    @_locked_property
    def y_train_(self):
        return self.classes_[self._labels.training_set().y]

    @_locked_property
    def train_indices_(self):
        return self._labels.training_set().indices

    @_locked_property
    def train_parents_(self):
        return self._labels.training_set().parents

    # Ask and tell

    @_one_at_a_time
    def ask(self, n_instances=None):
        """Return the samples whose labels would help most.

        Parameters
        ----------
        n_instances : int, default=None
            Number of samples to return. If None, the ``n_instances`` of the session.

        Returns
        -------
        indices : ndarray of shape (n_asked,)
            Indices into ``X``, the most informative samples first; random samples
            before the first :meth:`fit`. Samples are left out if they are labelled or
            skipped, or still wait for an answer since the last :meth:`fit`. There are
            fewer than ``n_instances`` when the pool runs out.

        Raises
        ------
        ValueError
            If ``n_instances`` is not an int >= 1, or the strategy does not return valid
            indices.
        """
        n = self._n_instances if n_instances is None else n_instances
        if not COUNT.is_satisfied_by(n):
            raise ValueError(f"{n_instances=} should be an int >= 1.")
        free = np.zeros(len(self._pool), dtype=bool)
        free[self._labels.open_questions()] = True
        free[list(self._pending)] = False
        if not self.history_:
            ranked = self._initial_order()
        else:
            ranked = np.array([i for rank in self._rankings for i in rank], dtype=int)
        asked = ranked[free[ranked]][:n]
        free[asked] = False
        if self.history_ and len(asked) < n and free.any():
            asked = np.concatenate([asked, self._rank(free, n - len(asked))])
        self._pending.update(asked.tolist())
        return asked

    @_one_at_a_time
    def tell(self, indices, labels):
        """Store labels, or correct the labels of samples that have one already.

        Parameters
        ----------
        indices : int or array-like of int
            Indices into ``X`` of the samples, whether :meth:`ask` returned them or not.
        labels : label or sequence of labels
            One label per sample, each from ``classes``.

        Raises
        ------
        ValueError
            If an index or a label is invalid. Nothing of this call is stored then.
        """
        indices = self._as_indices(indices)
        labels = list(labels) if isinstance(labels, Iterator) else as_numpy(labels)
        if isinstance(labels, str) or not np.ndim(labels):
            labels = [labels]
        codes = [self._classes.code_of(label) for label in labels]
        if len(codes) != len(indices):
            raise ValueError(
                f"Got {len(codes)} labels for {len(indices)} indices; expected one "
                "label per index."
            )
        classes = self.classes_.tolist()
        self._note("told", indices, [classes[code] for code in codes])
        for i, code in zip(indices, codes, strict=True):
            self._labels.tell(i, code, len(self.history_))
        self._pending.difference_update(indices)

    @_one_at_a_time
    def skip(self, indices):
        """Leave out samples that cannot be labelled, until they are told after all.

        Skipped samples are never queried and never trained on. If a sample has a label
        already, the label and its twins are removed.

        Parameters
        ----------
        indices : int or array-like of int
            Indices into ``X`` of the samples.

        Raises
        ------
        ValueError
            If an index is invalid.
        """
        indices = self._as_indices(indices)
        self._note("skipped", indices)
        for i in indices:
            self._labels.skip(i)
        self._pending.difference_update(indices)

    @_one_at_a_time
    def retract(self, indices):
        """Return samples to the unlabelled pool and remove their twins.

        Parameters
        ----------
        indices : int or array-like of int
            Indices into ``X`` of samples that are labelled or skipped.

        Raises
        ------
        ValueError
            If an index is invalid, or its sample is neither labelled nor skipped.
        """
        indices = self._as_indices(indices)
        is_open = ~self._labels.is_told & ~self._labels.is_skipped
        without = [i for i in indices if is_open[i]]
        if without:
            raise ValueError(f"Samples {without} have no label to retract.")
        self._note("retracted", indices)
        for i in indices:
            self._labels.retract(i)

    def _note(self, kind, indices, labels=None):
        if self._store is not None:
            self._store.add_events(len(self.history_), kind, indices, labels)

    def _as_indices(self, indices):
        indices = list(indices) if isinstance(indices, Iterator) else indices
        found = np.atleast_1d(np.asarray(indices))
        n = len(self._pool)
        if not found.size:
            return []
        if (
            found.ndim != 1
            or found.dtype.kind not in "iu"
            or not ((found >= 0) & (found < n)).all()
            or len(np.unique(found)) < len(found)
        ):
            raise ValueError(
                f"{indices=!r} should be one index or distinct ones in [0, {n})."
            )
        return found.tolist()

    # Train

    @_one_at_a_time
    def fit(self, *, n_instances=None, sample_weight=None):
        """Make twins of the newly labelled samples, train on all labels, and query.

        Parameters
        ----------
        n_instances : int, default=None
            Number of samples to rank for the next :meth:`ask`. If None, the
            ``n_instances`` of the session; if 0, ranking is left to :meth:`ask`.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples of the pool. A twin has the weight of its parent; a
            sample without a parent has weight 1.

        Returns
        -------
        self : LabelingSession
            The session, with an ``estimator_``. After an error or Ctrl-C, the session
            is unchanged.

        Raises
        ------
        ValueError
            If fewer than two classes have labels, if ``n_instances`` is not an int >=
            0, or if a network would be trained on samples that are not finite.
        TypeError
            If the estimator does not take ``sample_weight``.
        """
        self._check_can_fit()
        n = self._n_instances if n_instances is None else n_instances
        if not COUNT_OR_ZERO.is_satisfied_by(n):
            raise ValueError(f"{n_instances=} should be an int >= 0.")
        k, labels = len(self.history_), self._labels
        n_extras, rule = len(labels.extras), self._rule_state()
        try:
            started = time.perf_counter()
            if k:  # Q_k = {x_j} ∪ {x_j + r_j}, by the network of the last round
                with seeded(_seed(self._seed, k, _TWINS)):
                    labels.extras += self._method.augment(
                        self.estimator_,
                        self._pool,
                        labels,
                        k,
                        _rng(self._seed, k, _TWINS, _CANDIDATES),
                    )
            twin_seconds = time.perf_counter() - started
            started = time.perf_counter()
            training = labels.training_set(k)  # L_{k+1} = L_k ∪ Q_k
            weights = self._weights(training, sample_weight)
            X = samples_of(training, self._pool, labels.extras)
            self._trainer.check_finite(X, training.indices)
            A_k = self._trainer.fit(  # training(H, L_k)
                X,
                training.y,
                _seed(self._seed, k, _TRAIN),
                previous=self._estimator_before(),
                sample_weight=weights,
            )
            row = {
                "annotations": len(labels.told),
                "labeled_data": len(training.y),
                "fit_seconds": time.perf_counter() - started,
                "query_seconds": np.nan,
            }
            ranking = None
            U_k = labels.open_questions()
            if n and len(U_k):
                started = time.perf_counter()
                ranking = self._query(A_k, k, U_k, n, 0)
                row["query_seconds"] = time.perf_counter() - started
            last = self._last_row(twin_seconds)
            self.should_stop_ = self._update_rule(A_k, [*self.history_, row])
            if self._store is not None:
                self._save(k, row, last, training, weights, n_extras, A_k, ranking)
        except BaseException:
            del labels.extras[n_extras:]
            self._set_rule(rule)
            raise
        self.history_ = [*self.history_[:-1], *last, row]
        self._estimator = A_k
        self._rankings = [] if ranking is None else [ranking]
        self._pending = set()
        labels.forget_passing_extras()
        self._report(row)
        return self

    def _update_rule(self, estimator, history):
        """Whether the rule would stop, now that it has seen one more network."""
        unlabeled = self._labels.unlabeled()
        if self._rule is None or not len(unlabeled):
            return False
        view = self._pool.view(unlabeled)
        return bool(self._rule.update(estimator, view, history))

    def _rule_state(self):
        """Return the state of the rule as arrays, empty if it has no ``get_state``."""
        get_state = getattr(self._rule, "get_state", dict)
        return get_state() | {"should_stop": np.array(self.should_stop_)}

    def _set_rule(self, state):
        state = dict(state)
        self.should_stop_ = bool(state.pop("should_stop", False))
        if hasattr(self._rule, "set_state"):
            self._rule.set_state(state, self._pool)

    def _check_can_fit(self):
        known = self.classes_[np.unique(self._labels.codes())].tolist()
        if len(known) < 2:
            found = f"labels of {known} only" if known else "no labels yet"
            raise ValueError(
                f"There are {found}: a classifier needs samples of at least 2 classes. "
                "Tell more labels first; until then, ask() draws samples at random."
            )

    def _estimator_before(self):
        if self._trainer.warm_start and self.history_:
            return self.estimator_
        return None

    def _weights(self, training, sample_weight):
        if sample_weight is None:
            return None
        self._trainer.check_weights()
        of_pool = np.asarray(sample_weight, dtype=float)
        if of_pool.shape != (len(self._pool),) or not np.isfinite(of_pool).all():
            raise ValueError(
                f"sample_weight of shape {of_pool.shape} should be finite and of shape "
                f"({len(self._pool)},), one weight per sample of the pool."
            )
        return training.weights(of_pool)

    def _last_row(self, seconds):
        """Return a list with the last row, plus the time for its twins, or []."""
        if not self.history_:
            return []
        row = self.history_[-1]
        return [row | {"query_seconds": row["query_seconds"] + seconds}]

    def _rank(self, is_free, n):
        """Query the strategy once more in this round and keep the ranking."""
        started = time.perf_counter()
        k, call = len(self.history_) - 1, len(self._rankings)
        found = self._query(self.estimator_, k, np.flatnonzero(is_free), n, call)
        row = dict(self.history_[-1])
        seconds = time.perf_counter() - started
        row["query_seconds"] = seconds + (row["query_seconds"] if call else 0)
        if self._store is not None:
            self._store.add_ranking(k, found, row)
        self.history_[-1] = row
        self._rankings.append(found)
        return found

    def _query(self, estimator, k, U_k, n, call):
        """Select Q_k from the samples ``U_k``, with separate seeds for each call."""
        n_query = min(n, len(U_k))
        again = (call,) if call else ()
        rng = _rng(self._seed, k, _CANDIDATES, *again)
        S_k = self._method.candidates(U_k, n_query, rng)
        seed = _seed(self._seed, k, _QUERY, *again)
        with seeded(seed):  # for strategies that draw from the global generators
            return self._method.ask(
                estimator, self._pool, S_k, n_query, self._labels, seed
            )

    def _initial_order(self):
        """Return all samples that may be queried, in a random order."""
        labels = self._labels
        everything = np.flatnonzero(~labels.is_skipped & labels.has_answer)
        return _rng(self._seed, 0, _INITIAL).permutation(everything)

    def _report(self, row):
        if self._verbose:
            print(
                f"[LabelingSession] round {len(self.history_) - 1}: "
                f"{row['annotations']} annotations, {row['labeled_data']} training "
                f"samples, trained in {row['fit_seconds']:.1f} s"
            )

    # Predict

    @_one_at_a_time
    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : pool or array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        proba = self.predict_proba(X)
        return self.classes_[predicted_codes(self.estimator_, proba)]

    @_one_at_a_time
    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : pool or array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``.
        """
        columns = columns_of(X)
        if None not in (columns, self._columns) and columns != self._columns:
            raise ValueError(
                f"X has the columns {columns}, but the session was made with "
                f"{self._columns}. Pass the same columns in the same order."
            )
        return proba_of_classes(self.estimator_, X, len(self.classes_))

    # The file

    @staticmethod
    def read_labels(path):
        """Return the labels of a saved session, whatever its parameters were.

        Use this to move labels into a session with other parameters and its own file:
        ``new.tell(list(labels), list(labels.values()))``. The classes and samples of
        the new session must give each index and label the same meaning.

        Parameters
        ----------
        path : str or path-like
            File of a closed session. It is not changed.

        Returns
        -------
        labels : dict
            Labels by index, as in ``labels_``.

        Raises
        ------
        CheckpointError
            If the file does not exist, is not a saved session, or is in use.

        Examples
        --------
        >>> import tempfile
        >>> from skdfal.learner import LabelingSession
        >>> path = tempfile.mkdtemp() + "/pets.skdfal"
        >>> X = [[0.0], [1.0], [2.0]]
        >>> with LabelingSession(X, ["cat", "dog"], path=path) as session:
        ...     session.tell([2, 0], ["cat", "dog"])
        >>> labels = LabelingSession.read_labels(path)
        >>> labels
        {2: 'cat', 0: 'dog'}
        >>> new = LabelingSession(X, ["cat", "dog", "bird"])
        >>> new.tell(list(labels), list(labels.values()))
        """
        return read_labels(path)

    def close(self):
        """Close the file of the session, so that another session may open it."""
        with self._lock:
            if self._store is not None:
                self._store.close()

    def __repr__(self):
        n_labels, n_samples = len(self._labels.told), len(self._pool)
        return (
            f"<{type(self).__name__}: {n_labels} of {n_samples} samples labelled, "
            f"{len(self.classes_)} classes>"
        )

    def __reduce_ex__(self, protocol):
        raise TypeError(
            "A LabelingSession cannot be copied or pickled: two copies would not know "
            "each other's labels. Give it a path, and another process can continue it; "
            "labels_ and estimator_ can be copied."
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _save(self, k, row, last, training, weights, n_extras, A_k, ranking):
        arrays = training._asdict()
        if weights is not None:
            arrays["weights"] = weights
        arrays |= {_OF_RULE + name: a for name, a in self._rule_state().items()}
        new = self._labels.extras[n_extras:]
        replays = self._trainer.warm_start and not self._trainer.is_net
        self._store.add_round(
            k,
            [*last, row],
            arrays,
            [(extra.is_lasting, extra.to_arrays()) for extra in new],
            self._trainer.weights(A_k),
            ranking,
            keep=None if replays else _N_KEPT,
        )

    def _load(self):
        """Load the state from the file, or start afresh if there is none."""
        self._labels = LabeledSet(len(self._pool))
        self.history_, self._rankings, self._pending = [], [], set()
        self._estimator = None
        self._set_rule({})
        if self._store is None:
            return
        for n_rounds, kind, sample, label in self._store.events():
            if kind == "told":
                self._labels.tell(sample, self._classes.code_of(label), n_rounds)
            elif kind == "skipped":
                self._labels.skip(sample)
            else:
                self._labels.retract(sample)
        self.history_ = self._store.history()
        self._labels.extras = self._saved_extras()
        self._labels.forget_passing_extras()
        if self.history_:
            self._rankings = [
                np.array(ranking, dtype=int)
                for ranking in self._store.rankings(len(self.history_) - 1)
            ]
            arrays = self._store.training(len(self.history_) - 1)
            n = len(_OF_RULE)
            self._set_rule({k[n:]: a for k, a in arrays.items() if k[:n] == _OF_RULE})

    def _saved_extras(self):
        like = self._pool.take([0])
        extras = (Extra.from_arrays(arrays, like) for arrays in self._store.extras())
        return [extra._replace(X=spilled(extra.X, self._pool)) for extra in extras]

    def _restore(self):
        """Return the estimator of the last round, from its weights or retrained."""
        k = len(self.history_) - 1
        restored = self._trainer.restore(self._store.weights(k))
        if restored is not None:
            return restored
        extras, estimator = self._saved_extras(), None
        for number in range(0 if self._trainer.warm_start else k, k + 1):
            arrays = self._store.training(number)
            weights = arrays.get("weights")
            training = TrainingSet(*(arrays[name] for name in TrainingSet._fields))
            estimator = self._trainer.fit(
                samples_of(training, self._pool, extras),
                training.y,
                _seed(self._seed, number, _TRAIN),
                previous=estimator,
                sample_weight=weights,
            )
        return estimator

    def _rewind(self, n_rounds):
        """Go back to the end of training number ``n_rounds``, before its query."""
        row = self.history_[n_rounds - 1] | {"query_seconds": np.nan}
        self._store.rewind(n_rounds, row)
        self._load()


def _seed(seed, k, *purpose):
    """Return a seed for round ``k`` that does not depend on earlier draws."""
    sequence = np.random.SeedSequence([seed, k, *purpose])
    return int(sequence.generate_state(1)[0] >> 1)


def _rng(seed, k, *purpose):
    return np.random.RandomState(_seed(seed, k, *purpose))
