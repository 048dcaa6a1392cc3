"""Plot samples in two dimensions, coloured by how two networks classify them."""

import numpy as np

from skdfal.plot._display import MANY, NotebookPicture

# Possible states of a sample: key, colour, marker. Agreement is drawn first.
STATES = [
    ("same", "#0072B2", "o"),
    ("only_a", "#E69F00", "^"),
    ("only_b", "#009E73", "v"),
    ("neither", "#000000", "s"),
    ("class", "#D55E00", "X"),
]


class RegionsDisplay(NotebookPicture):
    """Samples in two dimensions, coloured by how two networks classify them.

    Create a display with :meth:`from_agreement`, which places similar samples near each
    other by t-SNE [1]_, and draw it with :meth:`plot`.

    Parameters
    ----------
    embedding : array-like of shape (n_samples, 2)
        Position of each sample.
    agreement : RegionAgreement
        Result of :func:`skdfal.analysis.region_agreement`.
    name_a, name_b : str, default="network A", "network B"
        Names of the networks.

    Attributes
    ----------
    embedding : ndarray of shape (n_samples, 2)
        The given value.
    state : ndarray of shape (n_samples,) of str
        "same": both networks connect the sample with the same anchor. "class": they
        predict different classes. Otherwise they predict the same class, but only one
        has a path ("only_a", "only_b"), or neither has one, or they have paths only to
        different anchors ("neither").
    ax_ : matplotlib Axes
        The axes, after :meth:`plot`.
    figure_ : matplotlib Figure
        The figure of `ax_`.
    legend_ : matplotlib Legend
        The legend: each state that occurs, with its proportion of the samples.

    Raises
    ------
    ValueError
        If the embedding is not of shape (n_samples, 2), or not finite.

    See Also
    --------
    skdfal.analysis.region_agreement : What agreement means.
    ConfidenceDisplay : How sure two networks are of the same samples.

    References
    ----------
    .. [1] L. van der Maaten, G. Hinton, "Visualizing Data using t-SNE", JMLR 9, 2008.

    Examples
    --------
    >>> import numpy as np
    >>> from skdfal.analysis import RegionAgreement
    >>> from skdfal.plot import RegionsDisplay
    >>> yes, no, zero = np.array([True]), np.array([False]), np.array([0])
    >>> agreement = RegionAgreement(no, yes, no, zero, zero, zero - 1)
    >>> RegionsDisplay(embedding=[[0.0, 1.0]], agreement=agreement).state.tolist()
    ['only_a']
    """

    def __init__(self, *, embedding, agreement, name_a="network A", name_b="network B"):
        self.embedding = np.asarray(embedding, dtype=float)
        self.state = _states(agreement)
        if self.embedding.shape != (len(self.state), 2):
            raise ValueError(
                f"embedding has shape {self.embedding.shape}; the agreement on "
                f"{len(self.state)} samples needs ({len(self.state)}, 2)."
            )
        if not np.isfinite(self.embedding).all():
            raise ValueError("embedding contains NaN or infinity.")
        self.name_a = name_a
        self.name_b = name_b

    @classmethod
    def from_agreement(
        cls,
        agreement,
        X,
        *,
        perplexity=30.0,
        name_a="network A",
        name_b="network B",
        random_state=0,
    ):
        """Create a display, with samples embedded by t-SNE.

        Parameters
        ----------
        agreement : RegionAgreement
            Result of :func:`skdfal.analysis.region_agreement`.
        X : array-like of shape (n_samples, ...)
            The samples of the agreement. They are flattened.
        perplexity : float, default=30.0
            Approximate number of neighbours of a sample that t-SNE considers; at most
            a third of the number of samples.
        name_a, name_b : str, default="network A", "network B"
            Names of the networks.
        random_state : int, RandomState instance or None, default=0
            Controls the embedding.

        Returns
        -------
        display : RegionsDisplay
            Display with the data, not drawn yet.

        Raises
        ------
        ValueError
            If there are fewer than four samples, not as many as in the agreement, or
            all of them are equal.

        Examples
        --------
        >>> import numpy as np
        >>> from skdfal.analysis import RegionAgreement
        >>> from skdfal.plot import RegionsDisplay
        >>> yes, zeros = np.ones(10, dtype=bool), np.zeros(10, dtype=int)
        >>> agreement = RegionAgreement(yes, yes, yes, zeros, zeros, zeros)
        >>> X = np.random.default_rng(0).random((10, 1, 8, 8))
        >>> RegionsDisplay.from_agreement(agreement, X).embedding.shape
        (10, 2)
        """
        from sklearn.manifold import TSNE

        n_samples = len(agreement.agree)
        if len(X) != n_samples or n_samples < 4:
            raise ValueError(
                f"X has {len(X)} samples and the agreement {n_samples}; expected equal "
                "numbers, and at least four for t-SNE."
            )
        flat = np.asarray(X).reshape(n_samples, -1)
        if (flat == flat[0]).all():  # t-SNE would crash the process
            raise ValueError(
                f"All {n_samples} samples of X are the same, so t-SNE cannot place "
                "them. Give the embedding yourself."
            )
        tsne = TSNE(
            perplexity=min(perplexity, n_samples / 3), random_state=random_state
        )
        embedding = tsne.fit_transform(flat)
        return cls(
            embedding=embedding, agreement=agreement, name_a=name_a, name_b=name_b
        )

    def plot(self, ax=None):
        """Draw one point per sample, with disagreements on top.

        Parameters
        ----------
        ax : matplotlib Axes, default=None
            Axes to draw on. If None, a new figure is made. It opens no window; save it
            with ``display.figure_.savefig(...)``.

        Returns
        -------
        self : RegionsDisplay
            With `ax_`, `figure_` and `legend_`.

        Raises
        ------
        ImportError
            If matplotlib is not installed.

        Examples
        --------
        >>> import numpy as np
        >>> from skdfal.analysis import RegionAgreement
        >>> from skdfal.plot import RegionsDisplay
        >>> yes, zeros = np.array([True, True]), np.array([0, 0])
        >>> agreement = RegionAgreement(yes, yes, yes, zeros, zeros, zeros)
        >>> display = RegionsDisplay(embedding=np.eye(2), agreement=agreement).plot()
        >>> display.legend_.get_texts()[0].get_text()
        'same region in both: 2 (100.0 %)'
        """
        ax = self._take_axes(ax, figsize=(5.2, 5.6))
        is_crowded = len(self.state) > MANY
        for place, (state, color, marker) in enumerate(STATES):
            rows = self.state == state
            if not rows.any():
                continue
            ax.scatter(
                *self.embedding[rows].T,
                s=(8 if is_crowded else 20) * (1 if state == "same" else 1.6),
                alpha=0.4 if state == "same" else 0.9,
                color=self._visible(color),
                marker=marker,
                linewidths=0,
                rasterized=is_crowded,  # an SVG of 10,000 circles is slow to open
                label=self._label(state, rows),
                zorder=2 + place,
            )
        ax.set(xticks=[], yticks=[], xlabel="t-SNE 1", ylabel="t-SNE 2")
        self.legend_ = ax.legend(
            loc="upper center",
            bbox_to_anchor=(0.5, -0.06),
            frameon=False,
            fontsize="small",
            markerscale=1.2,
        )
        for handle in self.legend_.legend_handles:
            handle.set_alpha(1)
        return self

    def _label(self, state, rows):
        what = {
            "same": "same region in both",
            "only_a": f"same class, path in {self.name_a} only",
            "only_b": f"same class, path in {self.name_b} only",
            "neither": "same class, no common path",
            "class": "different classes",
        }[state]
        return f"{what}: {rows.sum()} ({100 * rows.mean():.1f} %)"


def _states(agreement):
    a, b = (np.asarray(c) for c in (agreement.connected_a, agreement.connected_b))
    differs = np.asarray(agreement.label_a) != np.asarray(agreement.label_b)
    return np.select(
        [np.asarray(agreement.agree), differs, a & ~b, b & ~a],
        ["same", "class", "only_a", "only_b"],
        "neither",
    )
