"""Keep modAL 0.4.1 working with current numpy, pandas and scikit-learn.

Query functions of this package can be used as strategies of modAL, but modAL's own code
has aged. `repair` fixes the following:

- ``fit`` and ``teach`` of learners and committees pass ``force_all_finite`` to
  ``check_X_y``, which scikit-learn 1.6 renamed and 1.8 removed.
- ``teach`` with data frames uses ``DataFrame.append``, which pandas 2 removed.
- ``modAL.expected_error`` evaluates ``np.float`` in an annotation at import, which
  numpy 1.24 removed. Its loop over candidates supports rows only, not images.

`import skdfal` repairs modAL without importing it: at once if modAL is loaded already,
otherwise when it is loaded. Only names inside modAL's own modules change, and only if
what they depend on is gone. Set ``SKDFAL_REPAIR_MODAL=0`` in the environment to leave
modAL alone. Two things are not repaired: ``modAL.cluster``, which is a stub, and ranked
batches of data frames (modAL needs arrays there, or ``on_transformed=True``).

This is the only file of the package that imports modAL, and it does so only when
needed.
"""

import __future__

import copy
import functools
import importlib.machinery
import inspect
import sys
import warnings

__all__ = ["as_learner", "is_modal_strategy", "repair", "restore"]


def repair():
    """Repair modAL, now if it is loaded, otherwise as soon as it is.

    Called by `import skdfal`, unless ``SKDFAL_REPAIR_MODAL=0`` is set in the
    environment. Repairing twice has no further effect.

    See Also
    --------
    restore : Undo the repair.

    Examples
    --------
    >>> from skdfal import modal
    >>> modal.repair()
    >>> from modAL.expected_error import expected_error_reduction
    """
    if _finder not in sys.meta_path:
        sys.meta_path.insert(0, _finder)
    for name in _REPAIRS:
        if name in sys.modules:
            _repair_module(sys.modules[name])


def restore():
    """Undo all changes made by `repair`.

    See Also
    --------
    repair : Make these changes.

    Examples
    --------
    >>> from skdfal import modal
    >>> modal.restore()
    >>> modal.repair()
    """
    if _finder in sys.meta_path:
        sys.meta_path.remove(_finder)
    for module, name in _repaired_names():
        setattr(module, name, getattr(module, name).__wrapped__)


def is_modal_strategy(function):
    """Whether a query function is modAL's own and needs a learner of modAL.

    Parameters
    ----------
    function : callable
        Query function; ``functools.partial`` objects are unwrapped.

    Returns
    -------
    is_modal : bool
        True for functions defined in a module of modAL.

    See Also
    --------
    as_learner : Create the learner that such a function needs.

    Examples
    --------
    >>> import skdfal
    >>> from modAL.batch import uncertainty_batch_sampling
    >>> skdfal.modal.is_modal_strategy(uncertainty_batch_sampling)
    True
    >>> skdfal.modal.is_modal_strategy(skdfal.dfal)
    False
    """
    while isinstance(function, functools.partial):
        function = function.func
    return (getattr(function, "__module__", None) or "").partition(".")[0] == "modAL"


def as_learner(estimator, X_training, y_training):
    """Turn a fitted estimator into a learner of modAL, without fitting it again.

    Some strategies of modAL use the labelled samples of their learner:
    ``modAL.batch.uncertainty_batch_sampling`` keeps away from them, and
    ``modAL.expected_error.expected_error_reduction`` trains on them.

    Parameters
    ----------
    estimator : estimator
        Fitted classifier. A learner or committee of modAL is copied, and the copy gets
        the labelled samples.
    X_training : array-like of shape (n_labeled, ...)
        Labelled samples.
    y_training : array-like of shape (n_labeled,)
        Their labels, encoded as for fitting the estimator.

    Returns
    -------
    learner : modAL.models.ActiveLearner or modAL.models.Committee
        Learner that can be passed to a strategy of modAL. Its ``predict_proba`` has one
        column per class of ``y_training``, as those strategies expect; columns of a net
        for classes without labels are dropped.

    See Also
    --------
    is_modal_strategy : Recognise the strategies that need such a learner.

    Examples
    --------
    >>> from modAL.batch import uncertainty_batch_sampling
    >>> from sklearn.datasets import load_iris
    >>> from sklearn.linear_model import LogisticRegression
    >>> from skdfal.modal import as_learner
    >>> X, y = load_iris(return_X_y=True)
    >>> classifier = LogisticRegression().fit(X[::10], y[::10])
    >>> learner = as_learner(classifier, X[::10], y[::10])
    >>> len(uncertainty_batch_sampling(learner, X, n_instances=5))
    5
    """
    import numpy as np
    from modAL.models import ActiveLearner
    from modAL.models.base import BaseCommittee, BaseLearner
    from modAL.uncertainty import uncertainty_sampling

    from skdfal.adapter import class_labels

    class FittedLearner(ActiveLearner):
        def predict_proba(self, X, **kwargs):
            proba = super().predict_proba(X, **kwargs)
            labels = class_labels(self.estimator, proba.shape[1])
            labeled = np.flatnonzero(np.isin(labels, self.y_training))
            return proba if len(labeled) == proba.shape[1] else proba[:, labeled]

    if isinstance(estimator, BaseLearner | BaseCommittee):
        learner = copy.copy(estimator)
    else:
        learner = FittedLearner(estimator, uncertainty_sampling)
    learner.X_training, learner.y_training = (
        given if hasattr(given, "shape") else np.asarray(given)
        for given in (X_training, y_training)
    )
    return learner


def _translate_keyword(check_X_y):
    """Let ``check_X_y`` accept the keyword that scikit-learn 1.6 renamed."""
    if "ensure_all_finite" not in inspect.signature(check_X_y).parameters:
        return check_X_y

    @functools.wraps(check_X_y)
    def check(*args, **kwargs):
        if "force_all_finite" in kwargs:
            kwargs["ensure_all_finite"] = kwargs.pop("force_all_finite")
        return check_X_y(*args, **kwargs)

    return check


def _stack_frames(data_vstack):
    """Let ``data_vstack`` stack data frames, which can no longer append."""

    @functools.wraps(data_vstack)
    def stack(blocks):
        if hasattr(blocks[0], "iloc") and not hasattr(blocks[0], "append"):
            import pandas as pd

            return pd.concat(blocks)
        return data_vstack(blocks)

    return stack


def _add_images(add_row):
    """Let ``add_row`` add one image to images, as it adds one row to rows."""

    import numpy as np

    @functools.wraps(add_row)
    def add(X, row):
        is_sample = np.ndim(X) > 2 and np.ndim(row) == np.ndim(X) - 1
        return np.concatenate([X, [row]]) if is_sample else add_row(X, row)

    return add


# For each module, the names to repair, each with a function that repairs what is there.
# A module without names is repaired by compiling it without evaluating its annotations.
_REPAIRS = {
    "modAL.expected_error": {},
    "modAL.models.base": {"check_X_y": _translate_keyword},
    "modAL.utils.data": {"data_vstack": _stack_frames, "add_row": _add_images},
}


def _repair_module(module):
    """Replace names of a loaded module, also where modules of modAL imported them."""
    for name, mend in _REPAIRS[module.__name__].items():
        broken = getattr(module, name, None)
        if broken is None or hasattr(broken, "_is_repaired"):
            continue
        mended = mend(broken)
        if mended is not broken:
            mended._is_repaired = True
            for place in _modules_of_modal():
                if vars(place).get(name) is broken:
                    setattr(place, name, mended)


def _repaired_names():
    """List the names in modules of modAL that were replaced, with their modules."""
    return [
        (module, name)
        for module in _modules_of_modal()
        for name, value in vars(module).items()
        if hasattr(value, "_is_repaired")
    ]


def _modules_of_modal():
    """List the loaded modules of modAL."""
    return [m for name, m in list(sys.modules.items()) if name.startswith("modAL.")]


class _RepairingFinder:
    """Find the modules to repair in their usual place, but with another loader."""

    @staticmethod
    def find_spec(name, path=None, target=None):
        if name not in _REPAIRS:
            return None
        spec = importlib.machinery.PathFinder.find_spec(name, path, target)
        loader = getattr(spec, "loader", None)
        if isinstance(loader, importlib.machinery.SourceFileLoader):
            spec.loader = _RepairingLoader(loader.name, loader.path)
        return spec


class _RepairingLoader(importlib.machinery.SourceFileLoader):
    """Load a module without evaluating its annotations, and repair its names."""

    def get_code(self, fullname):
        with warnings.catch_warnings():  # modAL compares strings with `is`
            warnings.simplefilter("ignore", SyntaxWarning)
            return compile(
                self.get_data(self.path),
                self.path,
                "exec",
                flags=__future__.annotations.compiler_flag,
                dont_inherit=True,
            )

    def exec_module(self, module):
        super().exec_module(module)
        _repair_module(module)


_finder = _RepairingFinder()
