"""The net that is trained, by its name."""

import importlib
import os
import sys

from skdfal.label._backbone import (
    IMAGE_SIZE,
    FeaturePool,
    LinearHead,
    is_backbone,
    load_backbone,
)
from skdfal.nets import make_classifier

NETS = ("lenet5", "vgg8")
_SIZE = 64  # of a net that is trained from scratch
_HEAD_LR = 0.01  # one layer: ten times the rate of a whole net


def make_net(name, n_classes, shape, max_epochs=50):
    """Make the classifier of a name.

    Parameters
    ----------
    name : str
        "lenet5", "vgg8"; ``torchvision/NAME`` or ``timm/NAME`` for a linear head on
        a pretrained net; or ``module:Class`` of a module that can be imported from
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
    if is_backbone(name):
        return make_classifier(
            LinearHead,
            n_classes=n_classes,
            lr=_HEAD_LR,
            max_epochs=max_epochs,
            module__n_features=load_backbone(name).n_features,
        )
    in_channels, *size = shape
    return make_classifier(
        _module(name),
        n_classes=n_classes,
        in_channels=in_channels,
        image_size=tuple(size),
        max_epochs=max_epochs,
    )


def samples_for(name, pool):
    """Return what the net of a name takes: pictures, or a backbone's features of them.

    Parameters
    ----------
    name : str
        As of :func:`make_net`.
    pool : ImagePool
        The pictures.

    Returns
    -------
    samples : Pool
        As many, at the same positions.
    """
    return FeaturePool(pool, load_backbone(name)) if is_backbone(name) else pool


def image_size_for(name):
    """Return the height and width of pictures that suit the net of a name.

    Parameters
    ----------
    name : str
        As of :func:`make_net`.

    Returns
    -------
    image_size : int
        In pixels.
    """
    return IMAGE_SIZE if is_backbone(name) else _SIZE


def _module(name):
    if ":" not in name:
        if name not in NETS:
            raise ValueError(
                f"net={name!r} is none of {', '.join(NETS)}, nor torchvision/NAME, "
                "timm/NAME or module:Class."
            )
        return name
    module, _, attribute = name.partition(":")
    if os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())  # as of `python -m`: a file beside the pictures
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f"net={name!r} cannot be imported: {exc}.") from exc
