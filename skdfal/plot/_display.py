"""What the Displays share: the late import of matplotlib, figures without windows."""

import base64
import io


def load_matplotlib(display):
    """Import matplotlib now, or say which extra brings it.

    Parameters
    ----------
    display : object
        The Display that is about to draw; the message names its class.

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

    The Displays draw on a `Figure` that pyplot does not know, so that no window opens
    in a script; a notebook would not show it either. Figures that came with the
    caller's axes are left to the caller, who would otherwise see them twice.
    """

    _owns_figure = False

    def _take_axes(self, ax, figsize):
        """Draw on the given axes from now on, or on those of a figure of its own."""
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
