"""The net that is trained, by its name."""

import importlib
import os
import sys

from skdfal.nets import make_classifier

NETS = ("lenet5", "vgg8")


def make_net(name, n_classes, shape, max_epochs=50):
    """Make the classifier of a name.

    Parameters
    ----------
    name : str
        "lenet5", "vgg8", or ``module:Class`` of a module that can be imported from
        here. The class is constructed with those of ``n_classes``, ``in_channels`` and
        ``image_size`` that it names, and gives logits.
    n_classes : int
        Number of classes.
    shape : tuple of (int, int, int)
        Channels, height and width of a picture.
    max_epochs : int, default=50
        Passes over the labels at each training.

    Returns
    -------
    classifier : RestartingClassifier
        Not fitted.

    Raises
    ------
    ValueError
        If there is no such net.

    Examples
    --------
    >>> from skdfal.label._nets import make_net
    >>> make_net("lenet5", 3, (3, 32, 32)).get_params()["module__image_size"]
    (32, 32)
    """
    in_channels, *size = shape
    return make_classifier(
        _module(name),
        n_classes=n_classes,
        in_channels=in_channels,
        image_size=tuple(size),
        max_epochs=max_epochs,
    )


def _module(name):
    if ":" not in name:
        if name not in NETS:
            raise ValueError(
                f"net={name!r} is none of {', '.join(NETS)}, nor module:Class."
            )
        return name
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as of `python -m`: a file beside the pictures
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f"net={name!r} cannot be imported: {exc}.") from exc
