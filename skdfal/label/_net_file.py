"""A trained network in one file: its weights, classes and sizes, and how to make it.

The file is a zip of JSON and tensors. Reading it executes no code.
"""

import io
import json
import math
import platform
import zipfile
from typing import Any, NamedTuple

import torch

from skdfal._utils._files import replacing
from skdfal._version import __version__
from skdfal.adapter import is_net
from skdfal.label._backbone import is_backbone, load_backbone
from skdfal.label._nets import make_net

_FORMAT, _VERSION = "skdfal net", 1
_ABOUT, _WEIGHTS = "net.json", "weights.pt"
_LONGEST = 2**24  # bytes of JSON


class NetFileError(ValueError):
    """Raised if a file is not a network, is damaged, or does not fit."""


class SavedNet(NamedTuple):
    """Content of a network's file.

    Attributes
    ----------
    estimator : RestartingClassifier
        The network on the CPU, ready to predict one probability per class. Its input
        are pictures, or their features if it is a head on a pretrained network.
    classes : list of str
        Names of the classes.
    image_size : tuple of (int, int)
        Height and width of its pictures.
    mode : {"L", "RGB"}
        Whether its pictures are grey or in colour.
    net_name : str
        Name of the network, as for ``skdfal label --net``.
    """

    estimator: Any
    classes: list
    image_size: tuple
    mode: str
    net_name: str


def save_net(path, net, classes, image_size, mode, net_name):
    """Save a trained network.

    Parameters
    ----------
    path : path-like
        The file, which is written whole or not at all.
    net : skorch.NeuralNet
        The fitted network, made by ``net_name``.
    classes : sequence of str
        Names of the classes, in the order of its outputs.
    image_size : tuple of (int, int)
        Height and width of the pictures.
    mode : {"L", "RGB"}
        Whether the pictures are grey or in colour.
    net_name : str
        Name of the network, as for ``skdfal label --net``: a name, or
        ``module:Class``. The weights of a pretrained network are not saved, only their
        hash.

    Raises
    ------
    TypeError
        If ``net`` is not a skorch net.
    ValueError
        If the weights do not fit the network that ``net_name`` makes.
    """
    if not is_net(net):
        raise TypeError(
            f"{type(net).__name__} is not a skorch net, so it has no weights."
        )
    about = {
        "format": _FORMAT,
        "version": _VERSION,
        "net": net_name,
        "classes": list(classes),
        "image_size": list(image_size),
        "mode": mode,
        "backbone": _backbone_digest(net_name),
        "made with": {
            "skdfal": __version__,
            "torch": torch.__version__,
            "python": platform.python_version(),
        },
    }
    state = {name: part.cpu() for name, part in net.module_.state_dict().items()}
    _made(about, state)
    weights = io.BytesIO()
    torch.save(state, weights)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_ABOUT, json.dumps(about, indent=1, ensure_ascii=False))
        archive.writestr(_WEIGHTS, weights.getvalue())


def load_net(path, net_name=None, device="cpu"):
    """Load a network saved by :func:`save_net`.

    Parameters
    ----------
    path : path-like
        The file.
    net_name : str, default=None
        Name of a network of your own, ``module:Class``, whose code runs only if you
        name it.
    device : str, default="cpu"
        Device for the network, such as "cuda".

    Returns
    -------
    saved : SavedNet
        The network, its classes, and the form of its pictures.

    Raises
    ------
    NetFileError
        A ValueError, if the file is not a network, is damaged, or needs code that was
        not named.
    OSError
        If the file cannot be read.
    """
    about, state = _read(path)
    name = about["net"]
    if ":" in name and name != net_name:
        raise NetFileError(
            f"{path} needs {name}, code of its author. If you trust that code, name "
            f"it: load_net(path, net_name={name!r}), or --net-class {name}."
        )
    try:
        if about.get("backbone") != _backbone_digest(name):
            raise ValueError(f"it was trained with other pretrained weights of {name}.")
        estimator = _made(about, state, device)
    except ValueError as error:
        raise NetFileError(f"{path} cannot be used: {error}") from error
    size = tuple(about["image_size"])
    return SavedNet(estimator, about["classes"], size, about["mode"], name)


def _backbone_digest(net_name):
    return load_backbone(net_name).digest() if is_backbone(net_name) else None


def _made(about, state, device="cpu"):
    """Return the described network with these weights, or raise a ValueError."""
    n_channels = 1 if about["mode"] == "L" else 3
    shape = (n_channels, *about["image_size"])
    try:
        with torch.random.fork_rng(devices=[]):
            net = make_net(about["net"], len(about["classes"]), shape, device=device)
            net.initialize()
        net.module_.load_state_dict(state)
    except (RuntimeError, TypeError, AttributeError) as error:
        raise ValueError(
            f"the weights do not fit {about['net']!r} for {len(about['classes'])} "
            f"classes and pictures of shape {shape}: {' '.join(str(error).split())}"
        ) from error
    return net


def _read(path):
    """Return the description and the tensors in a file."""
    try:
        with zipfile.ZipFile(path) as archive:
            about = json.loads(_stored(archive, _ABOUT, _LONGEST))
            weights = io.BytesIO(_stored(archive, _WEIGHTS))
    except zipfile.BadZipFile as error:
        raise NetFileError(f"{path} is not a skdfal network, or is damaged.") from error
    except (KeyError, EOFError, ValueError, RecursionError) as error:
        raise NetFileError(
            f"{path} is not a skdfal network, or is damaged: {error}."
        ) from error
    _check(path, about)
    try:
        return about, torch.load(weights, weights_only=True, map_location="cpu")
    except Exception as error:  # of every kind, for what is damaged or forbidden
        raise NetFileError(f"The weights in {path} cannot be read.") from error


def _stored(archive, name, longest=math.inf):
    """Return a part of the zip, which must not be compressed, so it cannot explode."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > longest:
        raise ValueError(f"{name} has been changed")
    return archive.read(name)


def _check(path, about):
    if not isinstance(about, dict) or about.get("format") != _FORMAT:
        raise NetFileError(f"{path} is not a skdfal network.")
    if about.get("version") != _VERSION:
        raise NetFileError(
            f"{path} has format version {about.get('version')}; this skdfal "
            f"({__version__}) reads version {_VERSION}. Install the newest skdfal."
        )
    size, classes = about.get("image_size"), about.get("classes")
    is_right = (
        isinstance(about.get("net"), str)
        and about.get("mode") in ("L", "RGB")
        and _are(size, int)
        and len(size) == 2
        and all(0 < side <= 2**14 for side in size)
        and _are(classes, str)
        and len(classes) > 1
    )
    if not is_right:
        raise NetFileError(
            f"{path} is damaged: {_ABOUT} does not describe the network."
        )


def _are(values, kind):
    return isinstance(values, list) and all(type(value) is kind for value in values)
