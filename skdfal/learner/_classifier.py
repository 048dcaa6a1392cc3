"""ActiveLearningClassifier: the DFAL paper's Algorithm 1 as a meta-estimator."""

import inspect
import os
import time
from dataclasses import dataclass, field

import numpy as np
from sklearn.base import BaseEstimator, ClassifierMixin, MetaEstimatorMixin, clone
from sklearn.metrics import check_scoring, get_scorer_names
from sklearn.utils import assert_all_finite, check_random_state, column_or_1d
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import (
    check_consistent_length,
    check_is_fitted,
    validate_data,
)

from skdfal._utils._validation import (
    COUNT,
    HasMethods,
    StrOptions,
    _fit_context,
    check_values,
)
from skdfal.adapter import is_net
from skdfal.adapter._training import (
    as_numpy,
    default_classifier,
    fit_encoded,
    is_missing,
    seeded,
)
from skdfal.augment import AdversarialAugmenter
from skdfal.augment._pseudo_labels import PseudoLabelAugmenter
from skdfal.learner._checkpoint import (
    CheckpointError,
    fingerprint,
    load_checkpoint,
    save_checkpoint,
)
from skdfal.strategies import STRATEGIES

# What a strategy brings with it when it is asked for by name.
_OWN_AUGMENTER = {
    "dfal": AdversarialAugmenter,
    "dfal_diverse": AdversarialAugmenter,
    "ceal": PseudoLabelAugmenter,
}

_INITIAL, _TRAIN, _CANDIDATES, _QUERY = range(4)  # purposes of random numbers


@dataclass
class _LabeledSet:
    """L_k: what was annotated, what the training set holds, and what happened so far.

    ``X``, ``y`` are the lasting training samples, twins included, a list of parts;
    ``origin`` has their indices in the pool, -1 for a twin. ``X_once``, ``y_once``
    serve the next training only. Labels are codes.
    """

    annotated: list = field(default_factory=list)
    X: list = field(default_factory=list)
    y: list = field(default_factory=list)
    origin: list = field(default_factory=list)
    X_once: list = field(default_factory=list)
    y_once: list = field(default_factory=list)
    history: list = field(default_factory=list)
    estimator: object = None  # kept for a warm start

    def annotate(self, indices, X, y):
        self.annotated.extend(int(i) for i in indices)
        self.X.append(X[indices])
        self.y.append(y[indices])
        self.origin.append(np.asarray(indices))
        self.X_once, self.y_once = [], []

    def add(self, X, y, is_lasting):
        (self.X if is_lasting else self.X_once).append(X)
        (self.y if is_lasting else self.y_once).append(y)
        if is_lasting:
            self.origin.append(np.full(len(y), -1))

    def training_set(self):
        return (
            np.concatenate(self.X + self.X_once),
            np.concatenate(self.y + self.y_once),
        )


class ActiveLearningClassifier(ClassifierMixin, MetaEstimatorMixin, BaseEstimator):
    """Train a classifier on few labels by asking for those that help most.

    The loop of the DFAL paper [1]_: train, score the pool, query, label what was
    queried and, with DFAL, its adversarial twins. ``y`` plays the oracle: a label is
    looked at only once its sample is asked for.

    Parameters
    ----------
    estimator : estimator, default=None
        A skorch net or a scikit-learn Pipeline that ends in one; it is cloned. Its
        module needs an output for each class. None is a small net for the shape of
        ``X``: LeNet5 for images of 16 pixels and more, an MLP otherwise.
    query_strategy : str or callable, default="dfal"
        One of the names in ``skdfal.strategies.STRATEGIES``, or a function
        ``(estimator, X, n_instances, **query_params)`` that returns indices into X,
        such as modAL's. "dfal" is the whole method, twins included;
        "deepfool_margin" is its query alone. "ceal" brings pseudo-labels.
    augmenter : augmenter or list of augmenters, default=None
        What adds samples to the training set for free, in place of what the strategy
        brings with it; an empty list adds nothing. An augmenter has a method
        ``augment(estimator, X, y, X_pool, n_round)``, called after each query with the
        net of the round, the newly annotated samples, their labels (as codes into
        ``classes_``) and what is left of the pool (nothing, if it says ``uses_pool =
        False``); it returns samples and codes to train on, for good if its
        ``is_lasting`` is true, else in the next round alone.
    n_initial : int, default=10
        Number of samples annotated before the first training.
    initial : {"random", "stratified"} or array-like of int, default="random"
        How they are drawn; or their indices, and ``n_initial`` is ignored.
    n_instances : int or sequence of int, default=10
        Samples annotated a round, the paper's n_query. Of a sequence, one number a
        round, the last one serves all further rounds.
    max_annotations : int, default=100
        Annotation budget, the initial samples included; the paper's N.
    n_candidates : int, default=None
        Score this many samples of the pool a round, drawn at random: the paper's K.
        None, or more than are left, scores the whole pool.
    query_params : dict, default=None
        Further parameters of the strategy, and of what it brings with it, such as
        CEAL's ``{"threshold": 0.05, "decay": 0.0033}``. For a strategy that takes
        ``X_labeled`` the annotated samples are given; ``{"X_labeled": "train"}`` gives
        all training samples, twins included.
    warm_start : bool, default=False
        Go on training the net of the last round rather than from scratch, as the
        paper does.
    scoring : str, callable or None, default=None
        Score on the held-out set given to ``fit``; None is the accuracy.
    missing_label : scalar, default=-1
        Entries of ``y`` equal to it are never asked for and never trained on. For
        string labels a string, for floats NaN may be used.
    checkpoint : str or path-like, default=None
        File to save the run in after each round. If it is there, the run continues
        and ends as it would have without the break.
    random_state : int, RandomState instance or None, default=None
        Determines initial samples, training, candidates and ties.
    verbose : int, default=0
        1 prints a line a round.

    Attributes
    ----------
    estimator_ : estimator
        The classifier trained on the last labelled set.
    classes_ : ndarray of shape (n_classes,)
        Class labels.
    annotated_indices_ : ndarray of shape (n_annotations,)
        Indices into ``X``, in the order in which they were annotated.
    labeled_iter_ : ndarray of shape (n_samples,)
        Round in which each sample was annotated, 0 for the initial ones, -1 for never.
    X_train_ : ndarray of shape (n_labeled, ...)
        The training set: annotated samples and, with DFAL, their twins.
    y_train_ : ndarray of shape (n_labeled,)
        Their labels.
    train_indices_ : ndarray of shape (n_labeled,)
        Their indices into ``X``, -1 for a twin.
    history_ : list of dict
        A row a round: "annotations" (labels bought), "labeled_data" (training samples,
        twins and pseudo-labels counted), "fit_seconds", "query_seconds" (twins
        included; NaN in the last round) and "score" (NaN without a held-out set).
    n_iter_ : int
        Number of rounds, trainings that is.
    termination_condition_ : {"max_annotations", "pool_exhausted", "interrupted"}
        Why it stopped; the last where ``fit`` ended in an exception or Ctrl-C, after
        which the other attributes tell how far it came.
    n_features_in_ : int
        Size of the second axis of ``X``.

    See Also
    --------
    deepfool_margin_sampling : The query of "dfal".
    AdversarialAugmenter : The twins of "dfal".

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
        "query_strategy": [StrOptions(set(STRATEGIES)), callable],
        "augmenter": [HasMethods(["augment"]), list, tuple, None],
        "n_initial": [COUNT],
        "initial": [StrOptions({"random", "stratified"}), "array-like"],
        "n_instances": [COUNT, "array-like"],
        "max_annotations": [COUNT],
        "n_candidates": [COUNT, None],
        "query_params": [dict, None],
        "warm_start": ["boolean"],
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
        n_initial=10,
        initial="random",
        n_instances=10,
        max_annotations=100,
        n_candidates=None,
        query_params=None,
        warm_start=False,
        scoring=None,
        missing_label=-1,
        checkpoint=None,
        random_state=None,
        verbose=0,
    ):
        self.estimator = estimator
        self.query_strategy = query_strategy
        self.augmenter = augmenter
        self.n_initial = n_initial
        self.initial = initial
        self.n_instances = n_instances
        self.max_annotations = max_annotations
        self.n_candidates = n_candidates
        self.query_params = query_params
        self.warm_start = warm_start
        self.scoring = scoring
        self.missing_label = missing_label
        self.checkpoint = checkpoint
        self.random_state = random_state
        self.verbose = verbose

    @_fit_context(prefer_skip_nested_validation=False)
    def fit(self, X, y, *, X_val=None, y_val=None, monitor=None):
        """Run the loop until the budget is spent or the pool is empty.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            The pool, of shape (n_samples, n_channels, height, width) for a CNN.
        y : array-like of shape (n_samples,)
            The oracle: labels, ``missing_label`` where there is none.
        X_val, y_val : array-like, default=None
            Held-out set that is scored each round, never trained on and never queried.
        monitor : callable, default=None
            Called after each training with the estimator and the new row of
            ``history_``.

        Returns
        -------
        self : ActiveLearningClassifier
            The fitted classifier.

        Raises
        ------
        ValueError
            If there are less than two classes, fewer labelled samples than are to be
            annotated first, or a checkpoint of another run.
        """
        X, y = self._validate_pool(X, y)  # y: codes, -1 where missing
        strategy, augmenters = self._resolve_strategy(), self._resolve_augmenters()
        held_out = self._validate_held_out(X_val, y_val)
        if monitor is not None and not callable(monitor):
            raise TypeError(f"{monitor=} should be a function of two arguments.")
        n_initial, initial = self._validate_initial(y)
        n_instances = self._validate_n_instances()
        run = seed = None
        if self.checkpoint is not None:
            ignore = {"checkpoint", "verbose", "max_annotations"}
            run = fingerprint(self, X, y, ignore)
        L, seed = self._resume(run)
        if L is not None and len(L.annotated) > self.max_annotations:
            raise CheckpointError(
                f"{self.checkpoint} holds {len(L.annotated)} annotations already, more "
                f"than max_annotations={self.max_annotations}. Give another path."
            )
        if L is None:
            seed = check_random_state(self.random_state).randint(2**31 - 1)
            L = _LabeledSet()
            if initial is None:
                initial = self._draw_initial(y, n_initial, _rng(seed, 0, _INITIAL))
            L.annotate(initial, X, y)  # k = 0; L_0 = L; U_0 = U

        exhausted = None
        try:
            while True:
                k = len(L.history)
                self._save(run, L, seed)
                started = time.perf_counter()
                with seeded(_seed(seed, k, _TRAIN)):
                    A_k = self._train(
                        *L.training_set(), L.estimator
                    )  # training(H, L_k)
                self.estimator_ = A_k
                L.history.append(
                    self._new_row(L, time.perf_counter() - started, held_out)
                )
                self._report(L, monitor)

                U_k = np.setdiff1d(np.flatnonzero(y >= 0), L.annotated)
                n_query = min(
                    n_instances[min(k, len(n_instances) - 1)],
                    self.max_annotations - len(L.annotated),
                    len(U_k),
                )
                if n_query <= 0:  # while k < N
                    exhausted = not len(U_k)
                    break
                started = time.perf_counter()
                S_k = U_k
                if self.n_candidates is not None and self.n_candidates < len(U_k):
                    K = max(self.n_candidates, n_query)
                    S_k = _rng(seed, k, _CANDIDATES).choice(U_k, K, replace=False)
                Q_k = S_k[self._query(strategy, A_k, X, S_k, n_query, L, seed)]
                L.annotate(Q_k, X, y)  # L_{k+1} = L_k ∪ Q_k;  U_{k+1} = U_k \ Q_k
                for augmenter in augmenters:  # Q_k = {x_j} ∪ {x_j + r_j}
                    rest = X[:0]
                    if getattr(augmenter, "uses_pool", True):
                        rest = X[np.setdiff1d(U_k, Q_k)]
                    extra = augmenter.augment(A_k, X[Q_k], y[Q_k], rest, k)
                    L.add(*self._check_extra(augmenter, extra, X), augmenter.is_lasting)
                L.history[-1]["query_seconds"] = time.perf_counter() - started
                L.estimator = A_k if self.warm_start else None
        finally:  # what was bought before an error is not lost either
            self._store(L, len(y), exhausted)
        return self

    def predict(self, X):
        """Predict class labels.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Class labels.
        """
        check_is_fitted(self)
        return self.classes_[self.predict_proba(X).argmax(axis=1)]

    def predict_proba(self, X):
        """Predict class probabilities.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...)
            Samples.

        Returns
        -------
        proba : ndarray of shape (n_samples, n_classes)
            Probabilities, in the order of ``classes_``. Outputs of the module beyond
            the classes of ``y`` are left out.
        """
        check_is_fitted(self)
        X = self._validate_X(X, reset=False)
        proba = self.estimator_.predict_proba(X)
        n_classes = len(self.classes_)
        if proba.shape[1] < n_classes:
            raise ValueError(
                f"The module has {proba.shape[1]} outputs, but y has {n_classes} "
                f"classes. Give it {n_classes} outputs."
            )
        if proba.shape[1] > n_classes:
            proba = proba[:, :n_classes]
            proba = proba / proba.sum(axis=1, keepdims=True)
        return proba

    # The loop, step by step

    def _train(self, X, y, estimator):
        if estimator is None:
            estimator = self.estimator
            if estimator is None:
                estimator = default_classifier(X, len(self.classes_))
            estimator = clone(estimator)
            if self.warm_start:
                estimator = _with_warm_start(estimator)
        return fit_encoded(estimator, X, y)

    def _query(self, strategy, A_k, X, S_k, n_query, L, seed):
        """Ask the strategy for ``n_query`` positions in ``S_k``."""
        k = len(L.history) - 1
        parameters = dict(self.query_params or {})
        accepted = inspect.signature(strategy).parameters
        for name in parameters.keys() - accepted.keys() & self._own_parameters():
            del parameters[name]  # the augmenter's alone
        if "random_state" in accepted:
            parameters.setdefault("random_state", _seed(seed, k, _QUERY))
        if "X_labeled" in accepted:
            labeled = parameters.get("X_labeled", "annotated")
            if isinstance(labeled, str) and labeled == "annotated":
                parameters["X_labeled"] = X[L.annotated]
            elif isinstance(labeled, str) and labeled == "train":
                parameters["X_labeled"] = np.concatenate(L.X)
        found = strategy(A_k, X[S_k], n_query, **parameters)
        found = np.asarray(found[0] if isinstance(found, tuple) else found)
        if (
            found.shape != (n_query,)
            or found.dtype.kind not in "iu"
            or len(np.unique(found)) < n_query
            or not ((found >= 0) & (found < len(S_k))).all()
        ):
            raise ValueError(
                f"query_strategy={_name(strategy)} returned {found!r}; expected "
                f"{n_query} distinct indices in [0, {len(S_k)})."
            )
        return found

    def _new_row(self, L, fit_seconds, held_out):
        score = np.nan
        if held_out is not None:
            score = float(check_scoring(self, self.scoring)(self, *held_out))
        return {
            "annotations": len(L.annotated),
            "labeled_data": sum(map(len, L.y + L.y_once)),
            "fit_seconds": fit_seconds,
            "query_seconds": np.nan,
            "score": score,
        }

    def _report(self, L, monitor):
        row = L.history[-1]
        if self.verbose:
            print(
                f"[ActiveLearningClassifier] round {len(L.history) - 1}: "
                f"{row['annotations']} annotations, {row['labeled_data']} training "
                f"samples, {row['fit_seconds']:.1f} s, score {row['score']:.4f}"
            )
        if monitor is not None:
            monitor(self, dict(row))

    def _resume(self, run):
        """Return the labelled set and the seed of an interrupted run, or Nones."""
        state = None if run is None else load_checkpoint(self.checkpoint, run)
        return (None, None) if state is None else state

    def _save(self, run, L, seed):
        if run is not None:
            save_checkpoint(self.checkpoint, run, (L, seed))

    def _store(self, L, n_samples, exhausted):
        self.annotated_indices_ = np.array(L.annotated)
        bought = np.array([row["annotations"] for row in L.history])
        self.labeled_iter_ = np.full(n_samples, -1)
        order = np.arange(1, len(L.annotated) + 1)
        self.labeled_iter_[L.annotated] = np.searchsorted(bought, order)
        self.X_train_ = np.concatenate(L.X)
        self.y_train_ = self.classes_[np.concatenate(L.y)]
        self.train_indices_ = np.concatenate(L.origin)
        self.history_ = L.history
        self.n_iter_ = len(L.history)
        if exhausted is None:
            self.termination_condition_ = "interrupted"
        elif exhausted and len(L.annotated) < self.max_annotations:
            self.termination_condition_ = "pool_exhausted"
        else:
            self.termination_condition_ = "max_annotations"

    # Validation

    def _validate_X(self, X, reset):
        X = as_numpy(X)
        X = validate_data(self, X, reset=reset, dtype=np.float32, allow_nd=True)
        if reset:
            self._sample_shape = X.shape[1:]
        elif X.shape[1:] != self._sample_shape:
            raise ValueError(
                f"X has samples of shape {X.shape[1:]}, but "
                f"{type(self).__name__} is expecting {self._sample_shape} as in fit."
            )
        return X

    def _validate_pool(self, X, y):
        """Return X as float32 and y as codes into ``classes_``, -1 where missing."""
        if y is None:
            raise ValueError(
                "ActiveLearningClassifier requires y to be passed, but the target y "
                "is None. y plays the oracle."
            )
        X = self._validate_X(X, reset=True)
        y = column_or_1d(as_numpy(y), warn=True)
        check_consistent_length(X, y)
        missing = is_missing(y, self.missing_label)
        known = y[~missing]
        if not len(known):
            raise ValueError(
                f"All of y equals missing_label={self.missing_label!r}: nothing to ask."
            )
        assert_all_finite(known, input_name="y")
        check_classification_targets(known)
        self.classes_, codes = np.unique(known, return_inverse=True)
        if len(self.classes_) < 2:
            raise ValueError(
                f"y holds one class only, {self.classes_.tolist()[0]!r}: a classifier "
                "needs samples of at least 2 classes."
            )
        encoded = np.full(len(y), -1)
        encoded[~missing] = codes
        return X, encoded

    def _validate_held_out(self, X_val, y_val):
        if X_val is None and y_val is None:
            return None
        if X_val is None or y_val is None:
            raise ValueError("X_val and y_val should be given both, or neither.")
        X_val = self._validate_X(X_val, reset=False)
        y_val = column_or_1d(as_numpy(y_val))
        check_consistent_length(X_val, y_val)
        if not set(y_val.tolist()) & set(self.classes_.tolist()):
            raise ValueError(
                f"y_val holds {np.unique(y_val).tolist()[:5]}, none of the classes of "
                f"y, {self.classes_.tolist()[:5]}. Both should be labels of one kind."
            )
        return X_val, y_val

    def _validate_initial(self, y):
        """Return the number of initial samples, and their indices where given."""
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

    def _check_extra(self, augmenter, extra, X):
        """Return the samples and codes of an augmenter, if they may be trained on."""
        name = type(augmenter).__name__
        if not isinstance(extra, tuple | list) or len(extra) not in (2, 3):
            raise ValueError(
                f"{name}.augment should return samples and labels, got {extra!r}."
            )
        X_new, y_new = np.asarray(extra[0], dtype=np.float32), np.asarray(extra[1])
        codes = range(len(self.classes_))
        if (
            X_new.shape[1:] != X.shape[1:]
            or y_new.shape != X_new.shape[:1]
            or not np.isfinite(X_new).all()
            or not np.isin(y_new, codes).all()
        ):
            raise ValueError(
                f"{name}.augment returned samples of shape {X_new.shape} and labels "
                f"of shape {y_new.shape}; expected finite samples of shape "
                f"(n, {', '.join(map(str, X.shape[1:]))}) and n labels in "
                f"[0, {len(self.classes_)}), codes into classes_."
            )
        return X_new, y_new.astype(int)

    def _validate_n_instances(self):
        """Return the list of sizes of the queries, the last one to be repeated."""
        sizes = np.atleast_1d(self.n_instances)
        if (
            sizes.ndim != 1
            or not len(sizes)
            or sizes.dtype.kind not in "iu"
            or (sizes < 1).any()
        ):
            raise ValueError(
                f"n_instances={self.n_instances!r} should be an int >= 1, or a "
                "sequence of such, one a round."
            )
        return sizes.tolist()

    def _draw_initial(self, y, n_initial, rng):
        order = rng.permutation(np.flatnonzero(y >= 0))
        if self.initial == "stratified":  # the first of each class, then the second...
            turn = np.empty(len(order), dtype=int)
            for c in range(len(self.classes_)):
                of_c = np.flatnonzero(y[order] == c)
                turn[of_c] = np.arange(len(of_c))
            order = order[np.argsort(turn, kind="stable")]
        return order[:n_initial]

    def _resolve_strategy(self):
        strategy = self.query_strategy
        if isinstance(strategy, str):
            strategy = STRATEGIES[strategy]
        accepted = inspect.signature(strategy).parameters
        if any(p.kind is p.VAR_KEYWORD for p in accepted.values()):
            return strategy
        known = [*list(accepted)[3:], *sorted(self._own_parameters() - set(accepted))]
        unknown = sorted(set(self.query_params or {}) - set(known), key=str)
        if unknown:
            names = ", ".join(known) or "none"
            raise ValueError(
                f"query_params has {', '.join(map(repr, unknown))}, but "
                f"{_name(strategy)} takes {names}."
            )
        check_values(strategy, self.query_params or {})
        return strategy

    def _resolve_augmenters(self):
        if self.augmenter is not None:
            several = isinstance(self.augmenter, list | tuple)
            augmenters = list(self.augmenter) if several else [self.augmenter]
            for augmenter in augmenters:
                if (
                    isinstance(augmenter, type)
                    or not hasattr(augmenter, "augment")
                    or not hasattr(augmenter, "is_lasting")
                ):
                    raise TypeError(
                        f"augmenter={augmenter!r} should be an object with 'augment' "
                        "and 'is_lasting', as an AdversarialAugmenter() has."
                    )
            return augmenters
        if self.query_strategy in _OWN_AUGMENTER:
            own = _OWN_AUGMENTER[self.query_strategy]()
            shared = self._own_parameters() & set(self.query_params or {})
            own.set_params(**{name: self.query_params[name] for name in shared})
            own._validate_params()
            return [own]
        return []

    def _own_parameters(self):
        """Names in ``query_params`` that go to what the strategy brings with it."""
        if self.augmenter is not None or self.query_strategy not in _OWN_AUGMENTER:
            return set()
        own = _OWN_AUGMENTER[self.query_strategy]()
        return set(own.get_params(deep=False)) - {
            "estimator",
            "prefit",
            "missing_label",
        }


def _with_warm_start(estimator):
    net = estimator
    while not is_net(net):
        if hasattr(net, "steps"):
            net = net.steps[-1][1]
        else:
            raise TypeError(
                f"warm_start=True needs a skorch net or a Pipeline that ends in one, "
                f"got {type(estimator).__name__}."
            )
    net.set_params(warm_start=True)
    return estimator


def _seed(seed, k, purpose):
    """Return a seed for round ``k`` that depends on no earlier draw."""
    sequence = np.random.SeedSequence([seed, k, purpose])
    return int(sequence.generate_state(1)[0] >> 1)


def _rng(seed, k, purpose):
    return np.random.RandomState(_seed(seed, k, purpose))


def _name(strategy):
    return getattr(strategy, "__name__", repr(strategy))
