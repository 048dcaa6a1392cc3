"""Plot samples next to their adversarial twins, with the perturbations."""

import math
import textwrap
from collections.abc import Mapping

import numpy as np
from sklearn.utils import check_array

from skdfal.adapter import predicted_codes, proba_of_classes
from skdfal.augment import AdversarialAugmenter
from skdfal.plot._display import NotebookPicture, load_matplotlib

TITLE_WIDTH = 16  # characters; longer titles are wrapped


class AdversarialDisplay(NotebookPicture):
    """Samples, their perturbations and their twins, in three rows.

    A twin is an adversarial example of a sample that has the label of the sample.

    Create a display with :meth:`from_arrays` or :meth:`from_augmenter`, and draw it
    with :meth:`plot`, as often as you like.

    Parameters
    ----------
    X : array-like of shape (n_samples, height, width) or \
            (n_samples, n_channels, height, width)
        The samples, with 1 channel (grey) or 3 (red, green, blue), in any range.
    X_twin : array-like of the shape of X
        The twin of each sample.
    y : array-like of shape (n_samples,), default=None
        Labels of the samples.
    y_twin : array-like of shape (n_samples,), default=None
        Labels of the twins.
    class_names : sequence of str or dict, default=None
        Names of the classes, by label. If None, the labels themselves are shown.

    Attributes
    ----------
    X : ndarray of the given shape
        The samples.
    X_twin : ndarray of the shape of X
        The twin of each sample.
    perturbation : ndarray of the shape of X
        X_twin - X, in input units.
    norm : ndarray of shape (n_samples,)
        The l2 norm of each perturbation, in input units.
    y, y_twin : ndarray of shape (n_samples,) or None
        The labels.
    class_names : sequence of str, dict or None
        The given value.
    axes_ : ndarray of shape (3, n_samples) of matplotlib Axes
        The axes of the images, after :meth:`plot`.
    figure_ : matplotlib Figure
        The figure of `axes_`.
    amplification_ : float
        Factor by which the perturbations were amplified in the figure.

    Raises
    ------
    ValueError
        If shapes do not match or are not those of images, or a value is NaN.

    See Also
    --------
    ActiveLearningCurveDisplay : Plot of score against the number of labels.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.plot import AdversarialDisplay
    >>> X = np.zeros((2, 1, 8, 8))
    >>> display = AdversarialDisplay(X=X, X_twin=X + 0.5)
    >>> display.norm
    array([4., 4.])
    """

    def __init__(self, *, X, X_twin, y=None, y_twin=None, class_names=None):
        self.X = _images(X, "X")
        self.X_twin = _images(X_twin, "X_twin")
        if self.X.shape != self.X_twin.shape:
            raise ValueError(
                f"X has shape {self.X.shape} and X_twin {self.X_twin.shape}; each "
                "sample should have one twin of its own shape."
            )
        self.perturbation = self.X_twin - self.X
        self.norm = np.linalg.norm(self.perturbation.reshape(len(self.X), -1), axis=1)
        self.y = _labels(y, len(self.X), "y", class_names)
        self.y_twin = _labels(y_twin, len(self.X), "y_twin", class_names)
        self.class_names = class_names

    @classmethod
    def from_arrays(cls, X, X_twin, *, y=None, y_twin=None, class_names=None):
        """Create a display from arrays of samples and twins.

        Parameters
        ----------
        X : array-like of shape (n_samples, height, width) or \
                (n_samples, n_channels, height, width)
            The samples, with 1 channel (grey) or 3 (red, green, blue), in any range.
        X_twin : array-like of the shape of X
            The twin of each sample.
        y : array-like of shape (n_samples,), default=None
            Labels of the samples.
        y_twin : array-like of shape (n_samples,), default=None
            Labels of the twins.
        class_names : sequence of str or dict, default=None
            Names of the classes, by label. If None, the labels themselves are shown.

        Returns
        -------
        display : AdversarialDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        ValueError
            If shapes do not match or are not those of images, or a value is NaN.

        Examples
        --------
        >>> import numpy as np
        >>> from skdfal.plot import AdversarialDisplay
        >>> X = np.zeros((2, 8, 8))
        >>> display = AdversarialDisplay.from_arrays(X, X + 0.5, y=[3, 5])
        >>> display.perturbation.shape
        (2, 8, 8)
        """
        return cls(X=X, X_twin=X_twin, y=y, y_twin=y_twin, class_names=class_names)

    @classmethod
    def from_augmenter(cls, augmenter, X, y=None, *, n_samples=8, class_names=None):
        """Create a display from the twins that a fitted augmenter makes of samples.

        Parameters
        ----------
        augmenter : object with a `transform`
            A fitted `AdversarialAugmenter`, or any object whose `transform` turns
            samples into twins of the same shape. If it has an `estimator_` with a
            `predict` method, this labels samples and twins.
        X : array-like of shape (n_available, height, width) or \
                (n_available, n_channels, height, width)
            The samples, in the format that `transform` takes.
        y : array-like of shape (n_available,), default=None
            Labels of the samples, shown instead of the predicted ones.
        n_samples : int, default=8
            Maximum number of samples to show: the first ones of X.
        class_names : sequence of str or dict, default=None
            Names of the classes, by label. If None, the labels themselves are shown.

        Returns
        -------
        display : AdversarialDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        TypeError
            If `augmenter` has no `transform`.
        ValueError
            If `n_samples` is less than 1, or `transform` returns an array of another
            shape.

        Examples
        --------
        >>> import numpy as np
        >>> from sklearn.preprocessing import FunctionTransformer
        >>> from skdfal.plot import AdversarialDisplay
        >>> negative = FunctionTransformer(lambda X: 1 - X)
        >>> display = AdversarialDisplay.from_augmenter(negative, np.ones((20, 8, 8)))
        >>> display.X_twin.shape
        (8, 8, 8)
        """
        if not hasattr(augmenter, "transform"):
            raise TypeError(
                f"augmenter should have a transform, but {type(augmenter).__name__} "
                "has none. For arrays use from_arrays."
            )
        if n_samples < 1:
            raise ValueError(f"n_samples={n_samples} should be >= 1.")
        X = X[:n_samples]
        y = None if y is None else y[:n_samples]
        X_twin = augmenter.transform(X)
        y_twin = None
        if hasattr(getattr(augmenter, "estimator_", None), "predict"):
            y = _predict(augmenter, X) if y is None else y
            y_twin = _predict(augmenter, X_twin)
        return cls(X=X, X_twin=X_twin, y=y, y_twin=y_twin, class_names=class_names)

    def plot(self, axes=None, *, value_range=None, amplify="auto"):
        """Draw one column per sample: the sample, its perturbation, its twin.

        Samples and twins share one grey scale. Perturbations of grey images are drawn
        in blue (darker than before), white (unchanged) and red (brighter), and those of
        colour images as colours around a medium grey. The title of a column shows the
        label of the sample, the label of its twin, and the norm.

        Parameters
        ----------
        axes : array-like of matplotlib Axes, 3 × n_samples, default=None
            Axes to draw on. If None, a new figure is made. It opens no window; save it
            with ``display.figure_.savefig(...)``. A notebook shows it when the
            display is the last value of the cell.
        value_range : (float, float), default=None
            Values drawn as black and as white, in each channel of colour images. If
            None, the smallest and the largest value of samples and twins.
        amplify : "auto" or float, default="auto"
            Factor on the perturbations. At 1, full colour stands for a change as large
            as the value range. "auto" uses the largest round number that keeps all
            perturbations within the colours. A colour bar in input units is drawn next
            to the row. If there is none (with ``axes``, or for colour images), the
            label of the row shows the factor.

        Returns
        -------
        self : AdversarialDisplay
            With `axes_`, `figure_` and `amplification_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.
        ValueError
            If there are not 3 × n_samples axes, `value_range` does not increase, or
            `amplify` is not positive.

        Examples
        --------
        >>> import numpy as np
        >>> from skdfal.plot import AdversarialDisplay
        >>> X = np.tile(np.linspace(0, 1, 8), (2, 8, 1))
        >>> display = AdversarialDisplay.from_arrays(X, X - 0.05, y=["a", "b"])
        >>> display = display.plot(value_range=(0, 1))
        >>> display.axes_.shape, display.amplification_
        ((3, 2), 20.0)
        """
        low, high = self._checked_range(value_range)
        self.amplification_ = self._checked_amplification(amplify, high - low)
        self._take_grid(axes)
        limit = (high - low) / self.amplification_
        for i, column in enumerate(self.axes_.T):
            _show(column[0], self.X[i], low, high, "gray")
            # Symmetric limits, so that the middle colour means "unchanged".
            changes = _show(column[1], self.perturbation[i], -limit, limit, "RdBu_r")
            _show(column[2], self.X_twin[i], low, high, "gray")
            # A dollar sign in the name of a class does not start a formula.
            column[0].set_title(self._title(i), fontsize="small", parse_math=False)
            for ax in column:
                ax.set_xticks([])
                ax.set_yticks([])
        has_bar = self._owns_figure and not _is_color(self.X)
        factor = "" if has_bar else f"\n(× {self.amplification_:g})"
        names = "sample", f"perturbation{factor}", "twin"
        for ax, name in zip(self.axes_[:, 0], names, strict=True):
            ax.set_ylabel(name, fontsize="small")
        if has_bar:
            self._draw_bar(changes, limit)
        return self

    def _take_grid(self, axes):
        """Set the axes to draw on: the given ones, or those of a new figure."""
        matplotlib = load_matplotlib(self)
        n_samples = len(self.X)
        self._owns_figure = axes is None
        if axes is None:
            figure = matplotlib.figure.Figure(
                figsize=(1.15 * n_samples + 0.9, 4.1), layout="constrained"
            )
            axes = figure.subplots(3, n_samples, squeeze=False)
        axes = np.asarray(axes, dtype=object)
        if axes.size != 3 * n_samples:
            raise ValueError(
                f"axes has {axes.size} axes; {n_samples} samples need 3 × {n_samples}."
            )
        self.axes_ = axes.reshape(3, n_samples)
        self.figure_ = self.axes_[0, 0].figure

    def _draw_bar(self, changes, limit):
        """Draw a colour bar in input units, so that nobody has to apply the factor."""
        # It takes its space from all axes, so that none becomes smaller than its
        # neighbours; its length and place are those of the middle row.
        n_samples = len(self.X)
        bar = self.figure_.colorbar(
            changes,
            ax=self.axes_,
            ticks=[-limit, 0, limit],
            format="%.2g",
            shrink=0.28,
            aspect=12,
            fraction=0.12 / n_samples,
            pad=0.08 / n_samples,
        )
        bar.ax.tick_params(labelsize="x-small")
        bar.outline.set_linewidth(0.5)

    def _checked_range(self, value_range):
        if value_range is None:
            low = min(self.X.min(), self.X_twin.min())
            high = max(self.X.max(), self.X_twin.max())
            return (low, high) if low < high else (low, low + 1.0)
        low, high = value_range
        if not low < high:
            raise ValueError(f"value_range={value_range!r} should be (low, high).")
        return low, high

    def _checked_amplification(self, amplify, span):
        largest = np.abs(self.perturbation).max()
        if isinstance(amplify, str) and amplify == "auto":
            return _round_factor(span / largest) if largest > 0 else 1.0
        if isinstance(amplify, str) or not 0 < amplify < math.inf:
            raise ValueError(f'amplify={amplify!r} should be "auto" or positive.')
        return float(amplify)

    def _title(self, i):
        norm = f"‖r‖ = {self.norm[i]:.3g}"
        if self.y is None and self.y_twin is None:
            return norm
        label = "" if self.y is None else self._name(self.y[i])
        if self.y_twin is not None:
            same = self.y is not None and self.y[i] == self.y_twin[i]
            twin = "(same)" if same else f"→ {self._name(self.y_twin[i])}"
            label = f"{label} {twin}".strip()
        if len(label) > TITLE_WIDTH:
            label = label.replace(" →", "\n→")
        lines = [textwrap.fill(line, TITLE_WIDTH) for line in label.split("\n")]
        return "\n".join([*lines, norm])

    def _name(self, label):
        return str(
            label if self.class_names is None else _by_label(self.class_names)[label]
        )


def _predict(augmenter, X):
    """Return predicted labels in the form given to the augmenter, not as codes."""
    if isinstance(augmenter, AdversarialAugmenter) and not augmenter.prefit:
        classes = augmenter.classes_
        proba = proba_of_classes(augmenter.estimator_, X, len(classes))
        return classes[predicted_codes(augmenter.estimator_, proba)]
    return augmenter.estimator_.predict(X)


def _show(ax, image, low, high, cmap):
    """Draw one image, (H, W) or (C, H, W), and return the matplotlib image."""
    if image.ndim == 2 or len(image) == 1:
        image = image.reshape(image.shape[-2:])
        return ax.imshow(image, cmap=cmap, vmin=low, vmax=high, interpolation="nearest")
    image = ((np.moveaxis(image, 0, -1) - low) / (high - low)).clip(0, 1)  # (H, W, 3)
    return ax.imshow(image, interpolation="nearest")


def _is_color(X):
    return X.ndim == 4 and X.shape[1] == 3


def _round_factor(bound):
    """Round `bound` down to one significant digit, such as 3 or 20, but at least 1."""
    if bound < 1:
        return 1.0
    power = 10.0 ** math.floor(math.log10(bound))
    # The tolerance keeps 1 / 0.05 at 20, in spite of rounding.
    return math.floor(bound / power * (1 + 1e-9)) * power


def _images(X, name):
    X = check_array(X, dtype="numeric", allow_nd=True, input_name=name)
    X = X.astype(float, copy=False)
    if X.ndim == 3 or (X.ndim == 4 and X.shape[1] in (1, 3)):
        return X
    hint = ""
    if X.ndim == 4 and X.shape[-1] in (1, 3):
        hint = (
            " The channels seem to come last: np.moveaxis(X, -1, 1) puts them second."
        )
    raise ValueError(
        f"{name} should have shape (n_samples, height, width), or (n_samples, "
        f"n_channels, height, width) with 1 or 3 channels, got {X.shape}.{hint}"
    )


def _labels(y, n_samples, name, class_names):
    if y is None:
        return None
    y = np.asarray(y)
    if y.shape != (n_samples,):
        raise ValueError(
            f"{name} should have shape ({n_samples},), one label per sample, got "
            f"{y.shape}."
        )
    if class_names is None:
        return y
    known = _by_label(class_names)
    unknown = [label for label in y.tolist() if label not in known]
    if unknown:
        raise ValueError(
            f"class_names has no name for the label {unknown[0]!r} of {name}; it names "
            f"{list(known)}."
        )
    return y


def _by_label(class_names):
    if isinstance(class_names, Mapping):
        return class_names
    return dict(enumerate(class_names))
