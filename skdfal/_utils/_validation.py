"""Parameter validation: the only file that imports private names of scikit-learn.

It also holds the constraints that many functions share.
"""

from numbers import Integral, Real

import numpy as np
from sklearn.base import _fit_context
from sklearn.utils._param_validation import (
    HasMethods,
    InvalidParameterError,
    StrOptions,
    validate_parameter_constraints,
    validate_params,
)
from sklearn.utils._param_validation import Interval as _Interval
from sklearn.utils.validation import _num_samples

__all__ = [
    "ATTACK_PARAMETERS",
    "COUNT",
    "COUNT_OR_ZERO",
    "DRAW_PARAMETERS",
    "QUERY_PARAMETERS",
    "SCORE_PARAMETERS",
    "HasMethods",
    "Interval",
    "InvalidParameterError",
    "StrOptions",
    "_fit_context",
    "_num_samples",
    "check_values",
    "validate_params",
]


class Interval(_Interval):
    """An interval of numbers that does not contain True and False."""

    def is_satisfied_by(self, val):
        """Whether a value lies in the interval.

        Parameters
        ----------
        val : object
            The value, of any type.

        Returns
        -------
        is_satisfied : bool
            Whether it is a number in the interval.
        """
        return not isinstance(val, bool) and super().is_satisfied_by(val)


COUNT = Interval(Integral, 1, None, closed="left")
COUNT_OR_ZERO = Interval(Integral, 0, None, closed="left")

SCORE_PARAMETERS = {"batch_size": [COUNT, None]}

QUERY_PARAMETERS = {
    "n_instances": [COUNT],
    "n_candidates": [COUNT, None],
    "random_state": ["random_state"],
    **SCORE_PARAMETERS,
}

DRAW_PARAMETERS = {"n_draws": [Interval(Integral, 2, None, closed="left")]}

ATTACK_PARAMETERS = {
    "p": [Interval(Real, 1, np.inf, closed="both")],
    "max_iter": [COUNT],
    "overshoot": [Interval(Real, 0, np.inf, closed="left")],
    "n_top_classes": [Interval(Integral, 2, None, closed="left"), None],
}


def check_values(function, values):
    """Raise if values of parameters violate the constraints of a function.

    A function that is not decorated by ``validate_params`` has no constraints.
    """
    constraints = getattr(function, "_skl_parameter_constraints", {})
    known = {name: value for name, value in values.items() if name in constraints}
    if known:
        validate_parameter_constraints(constraints, known, function.__name__)
