"""ActiveLearningClassifier: a labelling session whose oracle is ``y``."""

import os
from collections.abc import Mapping
from pathlib import Path

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import assert_all_finite, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)
from torch.utils.data import Dataset

from skdfal._utils._chance import accuracy_of_guessing
from skdfal._utils._missing_labels import is_missing
from skdfal._utils._validation import COUNT, HasMethods, StrOptions, _fit_context
from skdfal.adapter import is_net, predicted_codes, proba_of_classes
from skdfal.adapter._training import as_numpy
from skdfal.learner._cold_start import typical_samples
from skdfal.learner._identity import digest, parameter_digests
from skdfal.learner._session import LabelingSession
from skdfal.learner._store import CheckpointError, RunStore, open_beside
from skdfal.pool import Pool, as_pool

# Parameters that a run may change when it continues: they do not alter its results.
_NOT_OF_THE_RUN = {"checkpoint", "verbose", "max_annotations"}
_DATA = ("X", "y", "sample_weight")


class _OracleSession(LabelingSession):
    """The session of one ``fit``, identified by the classifier's parameters and data.

    Samples whose label is missing in ``y`` are never queried and stay unlabelled.
    """

    def __init__(self, X, classes, run, has_answer, **parameters):
        self._run, self._has_answer = run, has_answer
        super().__init__(X, classes, **parameters)

    def _load(self):
        super()._load()
        self._labels.has_answer = self._has_answer

    def _report(self, row):
        """Print nothing: the classifier prints its own line, with the score."""

    @property
    def has_news(self):
        """Whether there are labels on which no network has been trained yet."""
        n_rounds = len(self.history_)
        return not n_rounds or bool(len(self._labels.told_since(n_rounds)))

    def initial_order(self, n_typical):
        """Return all samples that may be queried, in the order of the first query.

        The most typical sample of each of ``n_typical`` clusters comes first.
        """
        order = self._initial_order()
        if not n_typical:
            return order
        may = np.sort(order)
        rng = np.random.RandomState(self._seed)
        found = typical_samples(self._pool.view(may), n_typical, random_state=rng)
        typical = may[found]
        return np.concatenate([typical, order[~np.isin(order, typical)]])

    @property
    def labeled_iter_(self):
        """Round in which each sample was annotated, or -1 if it never was."""
        rounds = np.full(len(self._pool), -1)
        for i, label in self._labels.told.items():
            rounds[i] = label.n_rounds
        return rounds

    def take_up(self, n_query):
        """Undo the last query if a budget other than the present one cut it short.

        ``n_query`` maps the numbers of rounds and of labels to the size of the next
        query.
        """
        told = self._labels.told.values()
        n_rounds = max(label.n_rounds for label in told)
        n_last = sum(label.n_rounds == n_rounds for label in told)
        if n_rounds and n_last != n_query(n_rounds, len(told) - n_last):
            self._rewind(n_rounds)
        elif not self.has_news:  # the ranking may also be for another budget
            self._rewind(len(self.history_))

    def _check_can_fit(self):
        """Accept any labels: the classes are known, and some may lack samples."""

    def _identity(self, parameters):
        return self._run

    def _open(self, path, run):
        meta = {"seed": self._seed}
        data = int(digest({name: run[name] for name in _DATA})[:8], 16)
        if not _is_folder(path):
            return open_beside(path, run, meta, data)
        return RunStore(Path(path) / f"{digest(run)[:16]}.skdfal", run, meta, data)


def _is_folder(path):
    name = os.fspath(path)
    return os.path.isdir(name) or name.endswith(
        tuple(filter(None, (os.sep, os.altsep)))
    )


class ActiveLearningClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Train a classifier on few labels by querying the most informative samples.

    This is the loop of the DFAL paper [1]_: train, score the pool, query, and add the
    queried samples to the labelled set. With DFAL their twins are added too, that is,
    adversarial examples with the same labels. ``y`` plays the oracle: a label is
    looked up only when its sample is queried.

    Parameters
    ----------
    estimator : estimator, default=None
        Classifier to train: a skorch net, a Pipeline that ends in one or, for
        strategies that need no network, any scikit-learn classifier. It is cloned. A
        network needs one output per class. If None, a small network is chosen by the
        shape of ``X``: LeNet5 for images of at least 16 pixels a side, an MLP
        otherwise.
    query_strategy : str or callable, default="dfal"
        Name of a strategy in ``skdfal.strategies.STRATEGIES``, or a function
        ``(estimator, X, n_instances, **query_params)`` that returns indices into
        ``X``, such as one of modAL's; see :class:`LabelingSession`. "dfal" (or
        ``skdfal.dfal``) is the complete method with its twins, "deepfool_margin" only
        its query. "ceal" adds pseudo-labels.
    augmenter : augmenter or list of augmenters, default=None
        Adds samples to the training set without new annotations. If None, the
        strategy's own augmenter is used, if it has one; an empty list adds nothing.
        See :class:`LabelingSession`.
    augmenter_params : dict, default=None
        Parameters of the strategy's own augmenter, such as ``clip_range`` for the
        twins of "dfal".
    n_initial : int, default=10
        Number of samples annotated before the first training.
    initial : {"random", "stratified", "cluster"} or array-like of int, \
default="random"
        How the initial samples are chosen. "stratified" draws from each class in turn,
        which is impossible in practice, when no label is known yet. "cluster" takes
        the most typical sample of each of ``n_initial`` clusters of the pool, see
        :func:`~skdfal.learner.typical_samples`. An array gives the indices themselves,
        and ``n_initial`` is ignored.
    n_instances : int or sequence of int, default=10
        Number of samples to query per round, the paper's n_query. A sequence gives one
        number per round; its last entry is used for all further rounds.
    max_annotations : int, default=100
        Annotation budget, including the initial samples; the paper's N.
    n_candidates : int, "auto" or None, default="auto"
        Number of candidates drawn at random from the pool in each round; only these
        are scored. This is the paper's K. "auto" uses the number that suits the
        strategy. If None, or if no more are left, the whole pool is scored.
    query_params : dict, default=None
        Further parameters of the strategy. A name that only the strategy's augmenter
        knows is passed on to it, as in CEAL's ``{"threshold": 0.05, "decay":
        0.0033}``. A strategy with a parameter ``X_labeled`` gets the annotated samples;
        ``{"X_labeled": "train"}`` passes all training samples instead, including twins.
    warm_start : bool, default=False
        Whether to continue training the network of the previous round. If False, each
        round trains from scratch, as the paper does.
    stopping : rule, default=None
        Rule that ends the run before the budget is spent, when further labels would
        hardly help: :class:`~skdfal.learner.StabilizingPredictions`,
        :class:`~skdfal.learner.SmallestMargin`, or an object of your own with the same
        ``update`` method. It is cloned.
    scoring : str, callable or None, default=None
        Metric for the held-out set given to ``fit``. If None, the accuracy.
    missing_label : scalar, default=-1
        Value in ``y`` that marks a missing label. Such samples are never queried, but
        serve as unlabelled data, for instance for CEAL's pseudo-labels. Use a string
        for string labels, and NaN if you like for floats. None means that no label is
        missing, or that None itself marks the missing ones. Masked entries of a masked
        array are always missing.
    checkpoint : str or path-like, default=None
        File to save the run in. If the file exists, the run continues from it and ends
        as it would have without the interruption. A fit on other data, as in
        cross-validation, gets a file of its own next to it. A folder keeps one file
        per run, as a grid search needs; a path counts as a folder if it is one or ends
        in a separator.
    random_state : int, RandomState instance or None, default=None
        Controls the initial samples, the training, the candidates and the breaking of
        ties.
    verbose : int, default=0
        If 1, print one line per round; if 2, also the network's own output per epoch.

    Attributes
    ----------
    estimator_ : estimator
        The classifier of the last round.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    annotated_indices_ : ndarray of shape (n_annotations,)
        Indices into ``X`` of the annotated samples, in the order of annotation.
    labeled_iter_ : ndarray of shape (n_samples,)
        Round in which each sample was annotated: 0 for the initial samples, -1 if it
        never was.
    X_train_ : ndarray of shape (n_labeled, ...)
        The training set: annotated samples and, with DFAL, their twins.
    y_train_ : ndarray of shape (n_labeled,)
        Labels of the training set.
    train_indices_ : ndarray of shape (n_labeled,)
        Index into ``X`` of each training sample, -1 for a twin.
    train_parents_ : ndarray of shape (n_labeled,)
        Index into ``X`` of the sample that each training sample was made from: its own
        index if it is a sample of the pool, -1 if the parent is unknown.
    history_ : list of dict
        One row per round: "annotations" (labels bought), "labeled_data" (training
        samples, including twins and pseudo-labels), "fit_seconds", "query_seconds"
        (including the time for twins; NaN in the last round) and "score" (NaN without
        a held-out set).
    n_iter_ : int
        Number of rounds, that is, of trainings.
    termination_condition_ : {"max_annotations", "pool_exhausted", "stopping", \
"interrupted"}
        Why the run stopped. "interrupted" means that ``fit`` ended in an exception or
        Ctrl-C; the other attributes then describe the run up to that point.
    n_features_in_ : int
        Size of the second axis of ``X``.
    feature_names_in_ : ndarray of shape (n_features,)
        Names of the columns, if ``X`` is a data frame.

    See Also
    --------
    LabelingSession : The same loop, with a person answering each query.
    deepfool_margin_sampling : The query of "dfal".
    AdversarialAugmenter : The twins of "dfal".

    Notes
    -----
    ``X`` may be anything that :func:`skdfal.pool.as_pool` takes. Arrays are validated
    as a whole, as in scikit-learn; pools larger than memory are validated batch by
    batch.

    References
    ----------
    .. [1] M. Ducoffe, F. Precioso, "Adversarial Active Learning for Deep Networks: a
       Margin Based Approach", 2018, arXiv:1802.09841.

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from skdfal import ActiveLearningClassifier
    >>> X, y = make_blobs(200, centers=3, random_state=0)
    >>> clf = ActiveLearningClassifier(max_annotations=30, random_state=0).fit(X, y)
    >>> clf.annotated_indices_.shape, clf.X_train_.shape
    ((30,), (50, 2))
    """

    _parameter_constraints = {
        "estimator": [HasMethods(["fit", "predict_proba"]), None],
        "query_strategy": [str, callable],
        "augmenter": [HasMethods(["augment"]), list, tuple, None],
        "augmenter_params": [dict, None],
        "n_initial": [COUNT],
        "initial": [StrOptions({"random", "stratified", "cluster"}), "array-like"],
        "n_instances": [COUNT, "array-like"],
        "max_annotations": [COUNT],
        "n_candidates": [COUNT, StrOptions({"auto"}), None],
        "query_params": [dict, None],
        "warm_start": ["boolean"],
        "stopping": [HasMethods(["update"]), None],
        "scoring": [StrOptions(set(get_scorer_names())), callable, None],
        "missing_label": "no_validation",
        "checkpoint": [str, os.PathLike, None],
        "random_state": ["random_state"],
        "verbose": ["verbose"],
    }

    def __init__(
        self,
        estimator=None,
        query_strategy="dfal",
        *,
        augmenter=None,
        augmenter_params=None,
        n_initial=10,
        initial="random",
        n_instances=10,
        max_annotations=100,
        n_candidates="auto",
        query_params=None,
        warm_start=False,
        stopping=None,
        scoring=None,
        missing_label=-1,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.query_strategy = query_strategy
        self.augmenter = augmenter
        self.augmenter_params = augmenter_params
        self.n_initial = n_initial
        self.initial = initial
        self.n_instances = n_instances
        self.max_annotations = max_annotations
        self.n_candidates = n_candidates
        self.query_params = query_params
        self.warm_start = warm_start
        self.stopping = stopping
        self.scoring = scoring
        self.missing_label = missing_label
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    # Not an argument of its own: has_fit_parameter would promise it for any estimator.
    __metadata_request__fit = {"sample_weight": None}

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, X_val=None, y_val=None, monitor=None, **fit_params):
        """Run the active learning loop until the budget is spent or the pool is empty.

        Parameters
        ----------
        X : pool or array-like of shape (n_samples, ...)
            The pool, of shape (n_samples, n_channels, height, width) for a CNN.
        y : array-like of shape (n_samples,)
            The oracle: one label per sample, ``missing_label`` where there is none.
        X_val, y_val : array-like, default=None
            Held-out set. It is scored in each round, but never trained on or queried.
        monitor : callable, default=None
            Function called after each training with this classifier and the new row of
            ``history_``.
        **fit_params : dict
            Only ``sample_weight`` of shape (n_samples,) is allowed, for an estimator
            whose ``fit`` takes it. A twin has the weight of its parent.

        Returns
        -------
        self : ActiveLearningClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If there are fewer than two classes, or fewer labelled samples than
            ``n_initial``; if ``y`` holds None, NaN or an empty string other than
            ``missing_label``; if ``X`` is not finite; if the network cannot take
            ``X``, or has fewer outputs than there are classes.
        TypeError
            If ``sample_weight`` is given, but the estimator does not take it; if the
            strategy needs a network, but ``estimator`` has none.
        CheckpointError
            A ValueError, if ``checkpoint`` holds a run with other parameters or with
            more labels than ``max_annotations``, or is in use.
        UnidentifiableError
            A TypeError, if there is a ``checkpoint`` but the content of a parameter
            cannot be hashed, so that the saved run could not be recognised.
        """
        sample_weight = fit_params.pop("sample_weight", None)
        if fit_params:
            raise TypeError(
                f"fit() got {', '.join(map(repr, fit_params))}; of parameters for the "
                "estimator's fit, only 'sample_weight' is supported."
            )
        vars(self).pop("estimator_", None)  # from an earlier fit, with other classes
        pool, y = self._validate_pool(X, y)  # y: codes, -1 where missing
        held_out = self._validate_held_out(X_val, y_val)
        if monitor is not None and not callable(monitor):
            raise TypeError(f"{monitor=} should be a function of two arguments.")
        n_initial, initial = self._validate_initial(y)
        n_instances = self._validate_n_instances()
        n_available = (y >= 0).sum()

        def n_query(n_rounds, n_bought):
            n_wanted = n_instances[min(n_rounds, len(n_instances)) - 1]
            return min(
                n_wanted, self.max_annotations - n_bought, n_available - n_bought
            )

        with self._session(pool, y, sample_weight) as session:
            exhausted = None
            try:
                if session.labels_:
                    self._check_budget(session)
                    session.take_up(n_query)
                else:
                    if initial is None:
                        by_cluster = n_initial if self.initial == "cluster" else 0
                        order = session.initial_order(by_cluster)
                        initial = self._draw_initial(y, order)
                    initial = initial[:n_initial]
                    session.tell(initial, self.classes_[y[initial]])  # L_0 = L
                while True:
                    if session.has_news:
                        session.fit(n_instances=0, sample_weight=sample_weight)
                    self._report(session, held_out, monitor)
                    n = n_query(len(session.history_), len(session.labels_))
                    if n <= 0 or session.should_stop_:  # while k < N
                        exhausted = len(session.labels_) == n_available
                        break
                    Q_k = session.ask(n)
                    session.tell(Q_k, self.classes_[y[Q_k]])
            finally:  # labels bought before an error are not lost
                self._store(session, exhausted)
        return self

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

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : pool or array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``. Outputs of the module beyond
            the classes of ``y`` are left out.
        """
        check_is_fitted(self, "estimator_")
        pool = self._validate_X(X, reset=False)
        return proba_of_classes(self.estimator_, pool, len(self.classes_))

    # The loop, step by step

    def _session(self, pool, y, sample_weight):
        """Return the session of this run, either new or loaded from its file."""
        parameters = self.get_params(deep=False)
        run = None
        if self.checkpoint is not None:
            run = {
                "X": pool.digest(),
                "y": digest([self.classes_, y], "y"),
                "sample_weight": digest(sample_weight, "sample_weight"),
            }
            for name in parameters.keys() - _NOT_OF_THE_RUN:
                run |= parameter_digests(name, parameters[name])
        passed_on = (
            "estimator query_strategy augmenter augmenter_params n_candidates "
            "query_params warm_start stopping random_state verbose"
        ).split()
        return _OracleSession(
            pool,
            self.classes_,
            run,
            y >= 0,
            path=self.checkpoint,
            **{name: parameters[name] for name in passed_on},
        )

    def _check_budget(self, session):
        n_bought = len(session.labels_)
        if n_bought > self.max_annotations:
            raise CheckpointError(
                f"{self.checkpoint} holds {n_bought} annotations already, more than "
                f"max_annotations={self.max_annotations}. Give another path."
            )

    def _report(self, session, held_out, monitor):
        """Score the network of the last round and print its row."""
        self.estimator_ = session.estimator_
        row = session.history_[-1]
        row["score"] = np.nan
        if held_out is not None:
            row["score"] = float(check_scoring(self, self.scoring)(self, *held_out))
        if self.verbose:
            score = "" if held_out is None else self._in_words(row["score"], *held_out)
            print(
                f"[ActiveLearningClassifier] round {len(session.history_) - 1}: "
                f"{row['annotations']} annotations, {row['labeled_data']} training "
                f"samples, trained in {row['fit_seconds']:.1f} s{score}"
            )
        if monitor is not None:
            monitor(self, dict(row))

    def _in_words(self, score, _, y_val):
        text = f", score {score:.4f}"
        is_accuracy = self.scoring in (None, "accuracy")
        if is_accuracy and score <= accuracy_of_guessing(y_val)[1]:
            text += ", no better than guessing (more epochs or labels may help)"
        return text

    def _store(self, session, exhausted):
        self.annotated_indices_ = session.annotated_indices_
        self.labeled_iter_ = session.labeled_iter_
        self.X_train_ = session.X_train_
        self.y_train_ = session.y_train_
        self.train_indices_ = session.train_indices_
        self.train_parents_ = session.train_parents_
        self.history_ = session.history_
        self.n_iter_ = len(session.history_)
        if exhausted is None:
            self.termination_condition_ = "interrupted"
        elif session.should_stop_:
            self.termination_condition_ = "stopping"
        elif exhausted and len(session.labels_) < self.max_annotations:
            self.termination_condition_ = "pool_exhausted"
        else:
            self.termination_condition_ = "max_annotations"

    # Validation

    def _validate_X(self, X, reset):
        """Return X as a pool; data in memory is validated as a whole."""
        if isinstance(X, np.ma.MaskedArray):
            X = as_pool(X).X  # raises where entries are masked
        is_whole = _is_in_memory(X)
        if is_whole:
            X = self._validate_array(as_numpy(X), reset)
        pool = as_pool(X)
        if reset:
            self._sample_shape = pool.sample_shape
            if not is_whole and pool.sample_shape:
                self.n_features_in_ = pool.sample_shape[0]
        elif pool.sample_shape != self._sample_shape:
            raise ValueError(
                f"X has samples of shape {pool.sample_shape}, but "
                f"{type(self).__name__} is expecting {self._sample_shape} as in fit."
            )
        return pool

    def _validate_array(self, X, reset):
        wants_frames = self.estimator is not None and not is_net(self.estimator)
        if hasattr(X, "columns") and wants_frames:  # a Pipeline may select columns
            validate_data(self, X, reset=reset, skip_check_array=True)
            return X
        if _is_of_arrays(X):
            X = as_pool(X)[:]  # raises if the shapes differ
        X = validate_data(
            self,
            X,
            reset=reset,
            dtype="numeric",
            allow_nd=True,
            ensure_all_finite=False,
        )
        _check_finite(X)
        return X

    def _validate_pool(self, X, y):
        """Return X as a pool and y as codes into ``classes_``, -1 where missing."""
        if y is None:
            raise ValueError(
                "ActiveLearningClassifier requires y to be passed, but the target y "
                "is None. y plays the oracle; without labels, use a LabelingSession."
            )
        pool = self._validate_X(X, reset=True)
        missing = np.zeros(len(pool), dtype=bool)
        if np.ma.isMaskedArray(y):
            y, missing = y.data, np.ma.getmaskarray(y).flatten()
        y = column_or_1d(as_numpy(y), warn=True)
        check_consistent_length(pool, y)
        missing[~missing] = is_missing(y[~missing], self.missing_label)
        known = y[~missing]
        if not len(known):
            raise ValueError(
                f"All of y is masked or equals missing_label={self.missing_label!r}: "
                "there is no label to query. If a person is to answer, use a "
                "LabelingSession."
            )
        assert_all_finite(known, input_name="y")
        check_classification_targets(known)
        self.classes_, codes = np.unique(known, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds only one class, {self.classes_.tolist()[0]!r}: a classifier "
                "needs samples of at least 2 classes."
            )
        encoded = np.full(len(y), -1)
        encoded[~missing] = codes
        return pool, encoded

    def _validate_held_out(self, X_val, y_val):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val should be given together, or not at all.")
        X_val = self._validate_X(X_val, reset=False)
        is_masked = np.ma.is_masked(y_val)
        y_val = column_or_1d(as_numpy(y_val))
        check_consistent_length(X_val, y_val)
        classes = self.classes_.tolist()
        if not set(y_val.tolist()) & set(classes):
            raise ValueError(
                f"y_val holds {np.unique(y_val).tolist()[:5]}, none of the classes of "
                f"y, {classes[:5]}. Both need the same kind of labels."
            )
        if is_masked or (
            self.missing_label not in classes
            and is_missing(y_val, self.missing_label).any()
        ):
            raise ValueError(
                "Entries of y_val are masked or equal "
                f"missing_label={self.missing_label!r}: no prediction could be right "
                "there. Leave these samples out of X_val and y_val."
            )
        return X_val, y_val

    def _validate_initial(self, y):
        """Return the number of initial samples, and their indices if given."""
        available = np.flatnonzero(y >= 0)
        if isinstance(self.initial, str):
            n_initial, initial = self.n_initial, None
            if n_initial > len(available):
                raise ValueError(
                    f"{n_initial=} should be <= the {len(available)} samples with a "
                    "label."
                )
        else:
            initial = np.asarray(self.initial)
            n_initial = len(initial)
            if (
                initial.ndim != 1
                or not n_initial
                or initial.dtype.kind not in "iu"
                or len(np.unique(initial)) < n_initial
                or not np.isin(initial, available).all()
            ):
                raise ValueError(
                    f"initial={self.initial!r} should be distinct indices of samples "
                    f"with a label, in [0, {len(y)})."
                )
        if n_initial > self.max_annotations:
            raise ValueError(
                f"{n_initial=} should be <= max_annotations={self.max_annotations}."
            )
        return n_initial, initial

    def _validate_n_instances(self):
        """Return the list of query sizes; the last one is repeated."""
        sizes = np.atleast_1d(self.n_instances)
        if (
            sizes.ndim != 1
            or not len(sizes)
            or sizes.dtype.kind not in "iu"
            or (sizes < 1).any()
        ):
            raise ValueError(
                f"n_instances={self.n_instances!r} should be an int >= 1, or a "
                "sequence of these, one per round."
            )
        return sizes.tolist()

    def _draw_initial(self, y, order):
        """Return the samples in the given order, or taken from each class in turn."""
        if self.initial == "stratified":  # the first of each class, then the second...
            turn = np.empty(len(order), dtype=int)
            for c in range(len(self.classes_)):
                of_c = np.flatnonzero(y[order] == c)
                turn[of_c] = np.arange(len(of_c))
            order = order[np.argsort(turn, kind="stable")]
        return order


def _check_finite(X):
    """Raise a ValueError naming the first samples that contain NaN or infinity."""
    try:
        assert_all_finite(X)
    except ValueError:
        is_bad = ~np.isfinite(X.reshape(len(X), -1)).all(axis=1)
        raise ValueError(
            f"Input X contains NaN or infinity in {is_bad.sum()} of {len(X)} samples, "
            f"such as {np.flatnonzero(is_bad)[:5].tolist()}. Leave these samples out, "
            "or fill in the missing values."
        ) from None


def _is_of_arrays(X):
    """Whether X is a list or an object array whose samples are arrays."""
    kind = getattr(getattr(X, "dtype", None), "kind", None)
    return (
        (isinstance(X, list) or kind == "O")
        and len(X) > 0
        and bool(getattr(X[0], "shape", ()))
    )


def _is_in_memory(X):
    """Whether X is an array or similar, to be validated as a whole."""
    if hasattr(X, "toarray"):
        return True  # sparse: scikit-learn's validation refuses it
    if isinstance(X, Pool | Dataset | Mapping) or hasattr(X, "chunks"):
        return False
    return (
        not isinstance(X, np.ndarray)
        or not X.ndim
        or not len(X)
        or as_pool(X).is_in_memory
    )
