"""When to stop buying labels: stopping rules that need no extra labels.

A rule has a method ``update(estimator, pool_view, history) -> bool``. It is called
after each training with the fitted estimator, a view of the unlabelled samples, and
one row per round. A rule keeps its state; ``sklearn.base.clone`` gives a fresh rule.
The state is saved with a run through ``get_state() -> dict of arrays`` and restored
through ``set_state(state, pool)``. A rule without these methods starts afresh.
"""

import math
from numbers import Real
from statistics import NormalDist

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.utils import check_random_state

from skdfal._utils._validation import COUNT, COUNT_OR_ZERO, Interval, validate_params
from skdfal.adapter import class_labels, predict_proba
from skdfal.pool import as_pool


class StabilizingPredictions(BaseEstimator):
    """Stop when successive networks agree on their predictions.

    This is the stopping rule of Bloodgood and Vijay-Shanker [1]_. Each network predicts
    a stop set, drawn once from the unlabelled pool. Cohen's kappa measures how well the
    predictions agree with those of the previous network, beyond agreement by chance.

    Parameters
    ----------
    threshold : float, default=0.99
        Stop when the mean of the last ``n_kappas`` kappas is at least this large; the
        paper's intensity of agreement. A lower value stops earlier.
    n_kappas : int, default=3
        Number of kappas to average; the paper's longevity.
    n_stop_set : int, default=2000
        Number of samples in the stop set; all that are left if there are fewer. They
        may be labelled later.
    random_state : int, RandomState instance or None, default=0
        Controls which samples are in the stop set.

    Attributes
    ----------
    kappas_ : list of float
        Agreement of each network with the previous one; one entry fewer than there are
        networks.
    stop_set_ : Pool
        The samples of the stop set.

    See Also
    --------
    SmallestMargin : Stops when no sample is in doubt any more.

    Notes
    -----
    Let A_o be the proportion of the stop set on which two networks agree, and A_e the
    proportion on which they would agree by chance, given how often each of them
    predicts each class. Then::

        kappa = (A_o - A_e) / (1 - A_e)

    If both networks predict one and the same class everywhere, kappa is taken as 1.

    References
    ----------
    .. [1] M. Bloodgood and K. Vijay-Shanker, "A Method for Stopping Active Learning
       Based on Stabilizing Predictions and the Need for User-Adjustable Stopping",
       CoNLL 2009. https://aclanthology.org/W09-1107

    Examples
    --------
    >>> from sklearn.datasets import make_blobs
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal.learner import StabilizingPredictions
    >>> X, y = make_blobs(300, centers=2, random_state=0)
    >>> rule, n = StabilizingPredictions(), 20
    >>> while not rule.update(LogisticRegression().fit(X[:n], y[:n]), X, []):
    ...     n += 20
    >>> len(rule.kappas_) >= 3
    True
    """

    _parameter_constraints = {
        "threshold": [Interval(Real, -1, 1, closed="both")],
        "n_kappas": [COUNT],
        "n_stop_set": [COUNT],
        "random_state": ["random_state"],
    }

    def __init__(self, threshold=0.99, *, n_kappas=3, n_stop_set=2000, random_state=0):
        self.threshold = threshold
        self.n_kappas = n_kappas
        self.n_stop_set = n_stop_set
        self.random_state = random_state

    def update(self, estimator, pool_view, history):
        """Record one more network and return whether to stop.

        Parameters
        ----------
        estimator : fitted estimator
            The network of the round.
        pool_view : pool or array-like of shape (n_samples, ...)
            The unlabelled samples; used only in the first call.
        history : list of dict
            One row per round; not used.

        Returns
        -------
        is_over : bool
            Whether the predictions have stabilised.

        Raises
        ------
        InvalidParameterError
            A ValueError, if a parameter is out of its range.
        """
        self._validate_params()
        if not hasattr(self, "stop_set_"):
            self.stop_set_ = self._draw(as_pool(pool_view))
            self.kappas_ = []
        predicted = _predict(estimator, self.stop_set_)
        if hasattr(self, "_predicted"):
            self.kappas_.append(_kappa(self._predicted, predicted))
        self._predicted = predicted
        last = self.kappas_[-self.n_kappas :]
        return len(last) == self.n_kappas and bool(np.mean(last) >= self.threshold)

    def get_state(self):
        """Return the state of the rule, for :meth:`set_state`.

        Returns
        -------
        state : dict of ndarray
            The kappas, the positions of the stop set in the full pool, and the last
            network's predictions for it.
        """
        if not hasattr(self, "stop_set_"):
            return {}
        return {
            "kappas": np.array(self.kappas_, dtype=float),
            "stop_set": self.stop_set_.indices,
            "predicted": self._predicted,
        }

    def set_state(self, state, pool):
        """Restore a state returned by :meth:`get_state`.

        Parameters
        ----------
        state : dict of ndarray
            The state.
        pool : pool
            The full pool of the run.
        """
        for name in ("stop_set_", "kappas_", "_predicted"):
            vars(self).pop(name, None)
        if state:
            self.kappas_ = state["kappas"].tolist()
            self.stop_set_ = pool.root.view(state["stop_set"])
            self._predicted = state["predicted"]

    def _draw(self, pool):
        rng, n = check_random_state(self.random_state), len(pool)
        return pool.view(np.sort(rng.permutation(n)[: self.n_stop_set]))


class SmallestMargin(BaseEstimator):
    """Stop when no unlabelled sample is in doubt any more.

    The margin of a sample is the difference between its two largest probabilities;
    margin sampling would query the sample with the smallest margin next. The smallest
    margin rises when the doubtful samples are used up [1]_. The rule cannot detect a
    network that is confidently wrong.

    Parameters
    ----------
    threshold : float, default=0.2
        Stop when the smallest margin is at least this large.
    n_rounds : int, default=3
        Number of consecutive rounds for which this must hold.
    n_samples : int or None, default=2000
        Number of samples to check, drawn afresh in each round. If None, all of them.
    random_state : int, RandomState instance or None, default=0
        Controls which samples are drawn.

    Attributes
    ----------
    margins_ : list of float
        The smallest margin of each round, in [0, 1].

    See Also
    --------
    StabilizingPredictions : Stops when networks agree; less sensitive to label noise.

    References
    ----------
    .. [1] G. Schohn and D. Cohn, "Less is More: Active Learning with Support Vector
       Machines", ICML 2000.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal.learner import SmallestMargin
    >>> X, y = np.array([[-9.0], [-8.0], [8.0], [9.0]]), [0, 0, 1, 1]
    >>> rule, net = SmallestMargin(n_rounds=2), LogisticRegression().fit(X, y)
    >>> [rule.update(net, X, []) for _ in range(3)]
    [False, True, True]
    """

    _parameter_constraints = {
        "threshold": [Interval(Real, 0, 1, closed="both")],
        "n_rounds": [COUNT],
        "n_samples": [COUNT, None],
        "random_state": ["random_state"],
    }

    def __init__(self, threshold=0.2, *, n_rounds=3, n_samples=2000, random_state=0):
        self.threshold = threshold
        self.n_rounds = n_rounds
        self.n_samples = n_samples
        self.random_state = random_state

    def update(self, estimator, pool_view, history):
        """Record one more network and return whether to stop.

        Parameters
        ----------
        estimator : fitted estimator
            The network of the round.
        pool_view : pool or array-like of shape (n_samples, ...)
            The unlabelled samples.
        history : list of dict
            One row per round; not used.

        Returns
        -------
        is_over : bool
            Whether no sample has been in doubt for ``n_rounds`` rounds.

        Raises
        ------
        InvalidParameterError
            A ValueError, if a parameter is out of its range.
        """
        self._validate_params()
        if not hasattr(self, "margins_"):
            rng = check_random_state(self.random_state)
            self.margins_, self._seed = [], rng.randint(2**31 - 1)
        pool = as_pool(pool_view)
        rng = np.random.RandomState([self._seed, len(self.margins_)])
        drawn = rng.permutation(len(pool))[: self.n_samples]
        self.margins_.append(_smallest_margin(estimator, pool.view(np.sort(drawn))))
        last = self.margins_[-self.n_rounds :]
        return len(last) == self.n_rounds and min(last) >= self.threshold

    def get_state(self):
        """Return the state of the rule, for :meth:`set_state`.

        Returns
        -------
        state : dict of ndarray
            The margins and the seed of the draws.
        """
        if not hasattr(self, "margins_"):
            return {}
        return {"margins": np.array(self.margins_), "seed": np.array(self._seed)}

    def set_state(self, state, pool):
        """Restore a state returned by :meth:`get_state`.

        Parameters
        ----------
        state : dict of ndarray
            The state.
        pool : pool
            Not used; present for consistency with other rules.
        """
        for name in ("margins_", "_seed"):
            vars(self).pop(name, None)
        if state:
            self.margins_, self._seed = state["margins"].tolist(), int(state["seed"])


@validate_params(
    {
        "n_right": [COUNT_OR_ZERO],
        "n": [COUNT_OR_ZERO],
        "confidence": [Interval(Real, 0, 1, closed="neither")],
    },
    prefer_skip_nested_validation=True,
)
def wilson_interval(n_right, n, confidence=0.95):
    """Compute Wilson's score interval for a proportion, such as an accuracy [1]_.

    Unlike the mean plus or minus two standard errors, it also holds for few samples,
    and when all or none of them are right.

    Parameters
    ----------
    n_right : int
        Number of samples that are right.
    n : int
        Number of samples, drawn at random.
    confidence : float, default=0.95
        Confidence level: the proportion of such intervals that contain the true value.

    Returns
    -------
    low, high : float
        Bounds of the interval, within [0, 1]; 0 and 1 if ``n`` is 0.

    Raises
    ------
    ValueError
        If ``n_right`` is larger than ``n``, or a parameter is out of its range.

    Notes
    -----
    The interval contains the proportions p that the samples do not contradict:
    ``abs(n_right / n - p) <= z * sqrt(p * (1 - p) / n)``, where z is the quantile of
    the normal distribution.

    References
    ----------
    .. [1] E. B. Wilson, "Probable Inference, the Law of Succession, and Statistical
       Inference", JASA 22, 1927. https://doi.org/10.1080/01621459.1927.10502953

    Examples
    --------
    >>> from skdfal.learner import wilson_interval
    >>> "{:.3f} {:.3f}".format(*wilson_interval(45, 50))
    '0.786 0.957'
    """
    if n_right > n:
        raise ValueError(f"n_right={n_right} should be <= n={n}.")
    if not n:
        return 0.0, 1.0
    z = NormalDist().inv_cdf((1 + confidence) / 2)
    share = n_right / n
    center = share + z**2 / (2 * n)
    reach = z * math.sqrt(share * (1 - share) / n + (z / (2 * n)) ** 2)
    scale = 1 + z**2 / n
    low = (center - reach) / scale if n_right else 0.0  # exact, in spite of rounding
    high = (center + reach) / scale if n_right < n else 1.0
    return low, high


def _predict(estimator, pool):
    proba = predict_proba(estimator, pool)
    return np.asarray(class_labels(estimator, proba.shape[1]))[proba.argmax(axis=1)]


def _kappa(a, b):
    """Return Cohen's kappa between two predictions for the same samples."""
    observed = np.mean(a == b)
    by_chance = sum(np.mean(a == k) * np.mean(b == k) for k in np.unique(a))
    if by_chance == 1:  # both predict one class everywhere
        return 1.0
    return float((observed - by_chance) / (1 - by_chance))


def _smallest_margin(estimator, pool):
    proba = np.sort(predict_proba(estimator, pool), axis=1)
    if proba.shape[1] < 2:
        return 1.0
    return float((proba[:, -1] - proba[:, -2]).min())
