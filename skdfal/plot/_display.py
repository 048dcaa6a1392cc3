"""Code shared by the Displays: figures without windows, visible on any background."""

import base64
import colorsys
import io

GREY = "#555555"  # of lines that are no data
MANY = 500  # with more samples, points are smaller


def load_matplotlib(display):
    """Import matplotlib, or raise an error that says how to install it.

    Parameters
    ----------
    display : object
        The Display that is about to draw; its class is named in the message.

    Returns
    -------
    matplotlib : module
        The package, with its `figure` and `ticker` modules loaded.

    Raises
    ------
    ImportError
        If matplotlib is not installed.
    """
    try:
        import matplotlib
        import matplotlib.figure
        import matplotlib.ticker
    except ImportError as error:
        raise ImportError(
            f"{type(display).__name__}.plot needs matplotlib, which cannot be "
            "imported. Install it with: pip install matplotlib"
        ) from error
    return matplotlib


class NotebookPicture:
    """A Display that notebooks show if it is the last value of a cell.

    The Displays draw on a `Figure` that pyplot does not manage, so no window opens in a
    script; without this class, a notebook would not show it either. If the caller
    passed axes, their figure is left to the caller, who would otherwise see it twice.
    """

    _owns_figure = False

    def _take_axes(self, ax, figsize):
        """Set the axes to draw on: the given ones, or those of a new figure."""
        matplotlib = load_matplotlib(self)
        self._owns_figure = ax is None
        if ax is None:
            figure = matplotlib.figure.Figure(figsize=figsize, layout="constrained")
            ax = figure.subplots()
        if not isinstance(ax, matplotlib.axes.Axes):
            raise TypeError(
                f"ax should be one matplotlib Axes, or None for a new figure, got "
                f"{type(ax).__name__}. plt.subplots(1, 2) returns an array of Axes: "
                "pass one of them."
            )
        self.ax_, self.figure_ = ax, ax.figure
        # The colour of the text tells, since the background may be transparent.
        text = matplotlib.colors.to_rgb(ax.xaxis.label.get_color())
        self._is_dark = colorsys.rgb_to_hls(*text)[1] > 0.5
        return ax

    @property
    def _paper(self):
        """Colour of the background, roughly."""
        return "black" if self._is_dark else "white"

    def _visible(self, color):
        """Return a colour, made as light as it was dark if the background is dark."""
        if not self._is_dark:
            return color
        rgb = load_matplotlib(self).colors.to_rgb(color)
        hue, lightness, saturation = colorsys.rgb_to_hls(*rgb)
        return colorsys.hls_to_rgb(hue, max(lightness, 1 - lightness), saturation)

    def _draw_grid(self):
        """Draw a pale grid, and axes on the left and at the bottom only."""
        self.ax_.grid(color="#333333" if self._is_dark else "#dddddd", lw=0.6)
        self.ax_.set_axisbelow(True)
        self.ax_.spines[["top", "right"]].set_visible(False)

    def _repr_html_(self):
        if not self._owns_figure:
            return None
        png = io.BytesIO()
        self.figure_.savefig(png, format="png", dpi=100)
        data = base64.b64encode(png.getvalue()).decode("ascii")
        return f'<img alt="{type(self).__name__}" src="data:image/png;base64,{data}">'
