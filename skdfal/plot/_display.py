"""Code shared by the Displays: late import of matplotlib, figures without windows."""

import base64
import io


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
    """Show a Display in a notebook when it is the last value of a cell.

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
        self.ax_, self.figure_ = ax, ax.figure
        return ax

    def _repr_html_(self):
        if not self._owns_figure:
            return None
        png = io.BytesIO()
        self.figure_.savefig(png, format="png", dpi=100)
        data = base64.b64encode(png.getvalue()).decode("ascii")
        return f'<img alt="{type(self).__name__}" src="data:image/png;base64,{data}">'
