"""Keep modAL 0.4.1 alive on current numpy, pandas and scikit-learn.

Query functions of this package are strategies of modAL as they are, but modAL's own
code has aged. What `repair` mends, and what else of modAL runs through it:

- ``fit``, ``teach`` of learners and committees: they hand ``force_all_finite`` to
  ``check_X_y``, which scikit-learn 1.6 renamed and 1.8 took away.
- ``teach`` with data frames: pandas 2 took away ``DataFrame.append``.
- ``modAL.expected_error``: its import evaluates ``np.float`` in an annotation, which
  numpy 1.24 took away; its loop over candidates knew no images, only rows.

`import skdfal` repairs modAL without importing it: at once where it is loaded, else
as it is loaded. Only names within modAL's own modules change, and only where what they
stand on is gone; ``SKDFAL_REPAIR_MODAL=0`` in the environment leaves modAL alone.
Not mended: ``modAL.cluster``, a stub, and ranked batches of data frames (modAL wants
arrays there, or ``on_transformed=True``).

This is the one file of the package that imports modAL, and only where it is used.
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
    """Repair modAL, now where it is loaded, and else as soon as it is.

    Called by `import skdfal`, unless ``SKDFAL_REPAIR_MODAL=0`` in the environment.
    Repairing twice is repairing once.

    See Also
    --------
    restore : Take it back.

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
    """Put everything back that `repair` has changed.

    See Also
    --------
    repair : What it undoes.

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
    """Whether a query function is modAL's own, which wants a learner of modAL.

    Parameters
    ----------
    function : callable
        Query function; a ``functools.partial`` is looked through.

    Returns
    -------
    is_modal : bool
        True for what is defined in a module of modAL.

    See Also
    --------
    as_learner : The learner to ask such a function with.

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
    """Make a learner of modAL of a fitted estimator, without fitting it again.

    Some strategies of modAL look at the labelled samples that their learner holds:
    ``modAL.batch.uncertainty_batch_sampling`` keeps away from them, and
    ``modAL.expected_error.expected_error_reduction`` trains on them.

    Parameters
    ----------
    estimator : estimator
        Fitted classifier. A learner or committee of modAL is copied, and the copy
        given the labelled samples.
    X_training : array-like of shape (n_labeled, ...)
        Labelled samples.
    y_training : array-like of shape (n_labeled,)
        Their labels, as the estimator was fitted on.

    Returns
    -------
    learner : modAL.models.ActiveLearner or modAL.models.Committee
        Learner to hand to a strategy of modAL. Its ``predict_proba`` has a column for
        each class of ``y_training``, as those strategies expect; columns of a net for
        classes without a label are left out.

    See Also
    --------
    is_modal_strategy : Tell the strategies that want such a learner.

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
    """Let ``check_X_y`` take the keyword that was renamed in scikit-learn 1.6."""
    if "ensure_all_finite" not in inspect.signature(check_X_y).parameters:
        return check_X_y

    @functools.wraps(check_X_y)
    def check(*args, **kwargs):
        if "force_all_finite" in kwargs:
            kwargs["ensure_all_finite"] = kwargs.pop("force_all_finite")
        return check_X_y(*args, **kwargs)

    return check


def _stack_frames(data_vstack):
    """Let ``data_vstack`` stack data frames, which no longer append."""

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


# By module: the names to repair, each by a function of what is there. A module without
# names is repaired by compiling it without evaluating its annotations.
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
    """List the modules of modAL and the names in them that are not the original."""
    return [
        (module, name)
        for module in _modules_of_modal()
        for name, value in vars(module).items()
        if hasattr(value, "_is_repaired")
    ]


def _modules_of_modal():
    """List what is loaded of modAL."""
    return [m for name, m in list(sys.modules.items()) if name.startswith("modAL.")]


class _RepairingFinder:
    """Find the modules to repair where they are found anyway."""

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
    """Load a module with its annotations unevaluated, and repair its names."""

    def get_code(self, fullname):
        with warnings.catch_warnings():  # modAL compares texts by `is`
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
