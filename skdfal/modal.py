"""Keep modAL's learners alive on current scikit-learn; the one file that imports it.

modAL 0.4.1 hands ``force_all_finite`` to ``check_X_y``, which scikit-learn 1.8 took
away for ``ensure_all_finite`` (modAL issue 196), so that ``fit`` and ``teach`` fail.
"""

import functools
import inspect

import modAL.models.base
import modAL.models.learners
from sklearn.utils import check_X_y


def repair_modal():
    """Translate the old keyword where scikit-learn no longer knows it."""
    if "force_all_finite" in inspect.signature(check_X_y).parameters:
        return

    @functools.wraps(check_X_y)
    def check(*args, **kwargs):
        if "force_all_finite" in kwargs:
            kwargs["ensure_all_finite"] = kwargs.pop("force_all_finite")
        return check_X_y(*args, **kwargs)

    for module in (modAL.models.base, modAL.models.learners):
        if getattr(module, "check_X_y", None) is check_X_y:
            module.check_X_y = check
