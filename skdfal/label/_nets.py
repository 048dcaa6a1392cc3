"""Networks and query strategies by their names."""

import importlib

import torch
from sklearn.base import clone

from skdfal.experiment import NETS
from skdfal.experiment._names import find, find_modules_here
from skdfal.label._backbone import (
    IMAGE_SIZE,
    LinearHead,
    is_backbone,
    load_backbone,
)
from skdfal.label._feature_pool import FeaturePool
from skdfal.nets import make_classifier
from skdfal.nets._classifier import check_device
from skdfal.strategies import STRATEGIES, describe

_SIZE = 64  # pixels, for a network that is trained from scratch
_HEAD_LR = 0.01  # one layer: ten times the rate of a whole net


def make_net(name, n_classes, shape, max_epochs=50, strategy=None, device="cpu"):
    """Make the classifier of a name.

    Parameters
    ----------
    name : str
        "lenet5", "vgg8", "resnet18"; ``torchvision/NAME`` or ``timm/NAME`` for a
        linear head on a pretrained network; or ``module:Class`` of a module that can be
        imported from the working folder. The class is called with those of the
        parameters ``n_classes``, ``in_channels`` and ``image_size`` that it has, and
        returns logits.
    n_classes : int
        Number of classes.
    shape : tuple of (int, int, int)
        Channels, height and width of a picture.
    max_epochs : int, default=50
        Number of epochs of each training.
    strategy : str, default=None
        Query strategy, as for :func:`strategy_for`. What it needs of the network is
        added, such as a loss-prediction head or dropout.
    device : str, default="cpu"
        Device to train on.

    Returns
    -------
    classifier : RestartingClassifier
        The unfitted classifier.

    Raises
    ------
    ValueError
        If there is no such network, or it cannot be made.

    Examples
    --------
    >>> from skdfal.label._nets import make_net
    >>> make_net("lenet5", 3, (3, 32, 32)).get_params()["module__image_size"]
    (32, 32)
    """
    if is_backbone(name):
        module, shape = LinearHead, (load_backbone(name).n_features,)
        settings = {"lr": _HEAD_LR, "module__n_features": shape[0]}
    else:
        module = _module(name)
        settings = {"in_channels": shape[0], "image_size": tuple(shape[1:])}
    if strategy is not None:
        settings |= describe(strategy_for(strategy)).params_for(name)
    if "loss_prediction" in settings:
        settings["sample_shape"] = tuple(shape)
    net = make_classifier(
        module, n_classes=n_classes, max_epochs=max_epochs, device=device, **settings
    )
    if ":" in name:
        _check(net, name)
    return net


def _check(net, name):
    """Raise a ValueError unless the user's own class or function makes a module."""
    try:
        with torch.random.fork_rng(devices=[]):
            clone(net).initialize()
    except TypeError as exc:
        raise ValueError(f"net={name!r} cannot be made: {exc}") from exc


def strategy_for(name):
    """Return the query strategy of a name, for a labelling session.

    Parameters
    ----------
    name : str
        A name in ``skdfal.strategies.STRATEGIES``, or ``module:function`` of a module
        that can be imported from the working folder.

    Returns
    -------
    strategy : str or callable
        The name of a strategy of ours, or the function.

    Raises
    ------
    ValueError
        If there is no such strategy.

    Examples
    --------
    >>> from skdfal.label._nets import strategy_for
    >>> strategy_for("dfal"), strategy_for("skdfal:dfal").__name__
    ('dfal', 'dfal')
    """
    find_modules_here(name)
    found = find("strategy", name, STRATEGIES)
    return name if name in STRATEGIES else found


def samples_for(name, pool, device="cpu"):
    """Return the input of a network: pictures, or their features for a linear head.

    Parameters
    ----------
    name : str
        Name of the network, as for :func:`make_net`.
    pool : ImagePool
        The pictures.
    device : str, default="cpu"
        Device to compute the features on.

    Returns
    -------
    samples : Pool
        One sample per picture, at the same positions.

    Raises
    ------
    ValueError
        If the device does not exist.
    """
    check_device(device)
    if not is_backbone(name):
        return pool
    return FeaturePool(pool, load_backbone(name).on(device))


def image_size_for(name):
    """Return the default height and width of pictures for a network.

    Parameters
    ----------
    name : str
        Name of the network, as for :func:`make_net`.

    Returns
    -------
    image_size : int
        Height and width, in pixels.
    """
    return IMAGE_SIZE if is_backbone(name) else _SIZE


def _module(name):
    if ":" not in name:
        if name not in NETS:
            raise ValueError(
                f"net={name!r} should be one of {', '.join(NETS)}, torchvision/NAME, "
                "timm/NAME or module:Class."
            )
        return name
    module, _, attribute = name.partition(":")
    find_modules_here(name)
    try:
        return getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as exc:
        raise ValueError(f"net={name!r} cannot be imported: {exc}.") from exc
