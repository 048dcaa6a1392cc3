"""Plot the confidence of one network against that of another."""

import numpy as np
from sklearn.utils import check_consistent_length

from skdfal.plot._display import GREY, MANY, NotebookPicture

COLOR = "#0072B2"


class ConfidenceDisplay(NotebookPicture):
    """Scatter plot of the confidences of two networks, one point per sample.

    Create a display with :meth:`from_agreement` or from two vectors, and draw it with
    :meth:`plot`.

    Parameters
    ----------
    confidence_a, confidence_b : array-like of shape (n_samples,)
        Highest probability that each network gives to any class, in [0, 1].
    correlation : float, default=None
        Rank correlation, shown in the title; left out if None or NaN.
    name_a, name_b : str, default="network A", "network B"
        Names of the networks.

    Attributes
    ----------
    confidence_a, confidence_b : ndarray of shape (n_samples,)
        The given value.
    correlation : float or None
        The given value.
    ax_ : matplotlib Axes
        The axes, after :meth:`plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    points_ : matplotlib PathCollection
        The points.

    Raises
    ------
    ValueError
        If the vectors differ in length, are empty, or hold values outside [0, 1].

    See Also
    --------
    skdfal.analysis.confidence_agreement : Compute the confidences.
    RegionsDisplay : Whether two networks have samples in the same regions.

    Examples
    --------
    >>> from skdfal.plot import ConfidenceDisplay
    >>> display = ConfidenceDisplay(confidence_a=[0.5, 0.9], confidence_b=[0.6, 1.0])
    >>> display.confidence_b
    array([0.6, 1. ])
    """

    def __init__(
        self,
        *,
        confidence_a,
        confidence_b,
        correlation=None,
        name_a="network A",
        name_b="network B",
    ):
        self.confidence_a = _confidences(confidence_a, "confidence_a")
        self.confidence_b = _confidences(confidence_b, "confidence_b")
        check_consistent_length(self.confidence_a, self.confidence_b)
        self.correlation = correlation
        self.name_a = name_a
        self.name_b = name_b

    @classmethod
    def from_agreement(cls, agreement, *, name_a="network A", name_b="network B"):
        """Create a display from :func:`skdfal.analysis.confidence_agreement`.

        Parameters
        ----------
        agreement : ConfidenceAgreement
            The confidences and their rank correlation.
        name_a, name_b : str, default="network A", "network B"
            Names of the networks.

        Returns
        -------
        display : ConfidenceDisplay
            Display with the data, not drawn yet.

        Examples
        --------
        >>> import numpy as np
        >>> from skdfal.analysis import ConfidenceAgreement
        >>> from skdfal.plot import ConfidenceDisplay
        >>> agreement = ConfidenceAgreement(np.array([0.5]), np.array([0.9]), 0.25)
        >>> ConfidenceDisplay.from_agreement(agreement, name_a="LeNet5").correlation
        0.25
        """
        return cls(
            confidence_a=agreement.confidence_a,
            confidence_b=agreement.confidence_b,
            correlation=agreement.correlation,
            name_a=name_a,
            name_b=name_b,
        )

    def plot(self, ax=None):
        """Draw the points, and the diagonal of equal confidence.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made. It opens no window; save it
            with ``display.figure_.savefig(...)``.

        Returns
        -------
        self : ConfidenceDisplay
            With `ax_`, `figure_` and `points_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> from skdfal.plot import ConfidenceDisplay
        >>> display = ConfidenceDisplay(
        ...     confidence_a=[0.5, 0.9], confidence_b=[0.6, 1.0], correlation=1.0
        ... )
        >>> display.plot().ax_.get_title()
        '2 samples, rank correlation 1.00'
        """
        ax = self._take_axes(ax, figsize=(4.6, 4.6))
        is_crowded = len(self.confidence_a) > MANY
        self.points_ = ax.scatter(
            self.confidence_a,
            self.confidence_b,
            s=6 if is_crowded else 16,
            alpha=0.25 if is_crowded else 0.6,
            color=self._visible(COLOR),
            linewidths=0,
            rasterized=is_crowded,  # an SVG of 10,000 circles is slow to open
        )
        ax.set_xlabel(f"highest probability, {self.name_a}")
        ax.set_ylabel(f"highest probability, {self.name_b}")
        low = min(self.confidence_a.min(), self.confidence_b.min())
        ends = (low - 0.03 * (1.03 - low), 1 + 0.03 * (1.03 - low))
        ax.plot(ends, ends, color=self._visible(GREY), lw=1, ls=(0, (2, 2)), zorder=0)
        ax.set(xlim=ends, ylim=ends, aspect="equal")
        title = f"{len(self.confidence_a)} samples"
        if self.correlation is not None and np.isfinite(self.correlation):
            title += f", rank correlation {self.correlation:.2f}"
        ax.set_title(title, fontsize="medium")
        self._draw_grid()
        return self


def _confidences(values, name):
    values = np.asarray(values, dtype=float)
    if values.ndim != 1 or not len(values):
        raise ValueError(
            f"{name} should have shape (n_samples,), n_samples >= 1, got "
            f"{values.shape}."
        )
    if not ((values >= 0) & (values <= 1 + 1e-6)).all():  # NaN as well
        raise ValueError(f"{name} should be probabilities in [0, 1].")
    return values
