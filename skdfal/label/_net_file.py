"""A trained net in one file: weights, classes, sizes, and how to make it.

A zip of JSON and tensors. Nothing in it is executed when it is read.
"""

import io
import json
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
_NO_JSON = ValueError, RecursionError


class NetFileError(ValueError):
    """A file that is no net, a damaged one, or one that does not fit."""


class SavedNet(NamedTuple):
    """What a file of a net holds.

    Attributes
    ----------
    estimator : RestartingClassifier
        Ready to predict, on the CPU; a column of the probabilities for each class. It
        takes pictures, or of a backbone the features of them.
    classes : list of str
        Names of the classes.
    image_size : tuple of (int, int)
        Height and width of the pictures that it takes.
    mode : {"L", "RGB"}
        Whether they are grey or coloured.
    net_name : str
        The name by which it is made.
    """

    estimator: Any
    classes: list
    image_size: tuple
    mode: str
    net_name: str


def save_net(path, net, classes, image_size, mode, net_name):
    """Save a trained net.

    Parameters
    ----------
    path : path-like
        The file, which is written whole or not at all.
    net : skorch.NeuralNet
        Fitted, and made by its name.
    classes : sequence of str
        Names of the classes, in the order of its outputs.
    image_size : tuple of (int, int)
        Height and width of the pictures.
    mode : {"L", "RGB"}
        Whether they are grey or coloured.
    net_name : str
        As of ``skdfal label --net``: a name, or ``module:Class``. The weights of a
        pretrained backbone are not saved, but recognised.

    Raises
    ------
    TypeError
        If it is no skorch net.
    ValueError
        If what the name makes would not take these weights.
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
    state = net.module_.state_dict()
    _made(about, state)
    weights = io.BytesIO()
    torch.save(state, weights)
    with replacing(path) as file, zipfile.ZipFile(file, "w") as archive:
        archive.writestr(_ABOUT, json.dumps(about, indent=1, ensure_ascii=False))
        archive.writestr(_WEIGHTS, weights.getvalue())


def load_net(path, net_name=None):
    """Load a net that :func:`save_net` has saved.

    Parameters
    ----------
    path : path-like
        The file.
    net_name : str, default=None
        Needed for a net of ``module:Class``, whose code is run only if you name it.

    Returns
    -------
    saved : SavedNet
        The net, and what it knows and takes.

    Raises
    ------
    NetFileError
        A ValueError, if the file is none of a net, is damaged, or needs code that was
        not named.
    OSError
        If it cannot be read.
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
        estimator = _made(about, state)
    except ValueError as error:
        raise NetFileError(f"{path} cannot be used: {error}") from error
    size = tuple(about["image_size"])
    return SavedNet(estimator, about["classes"], size, about["mode"], name)


def _backbone_digest(net_name):
    return load_backbone(net_name).digest() if is_backbone(net_name) else None


def _made(about, state):
    """Return the net of a description with these weights, or raise."""
    n_channels = 1 if about["mode"] == "L" else 3
    shape = (n_channels, *about["image_size"])
    try:
        with torch.random.fork_rng(devices=[]):
            net = make_net(about["net"], len(about["classes"]), shape).initialize()
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
    except (KeyError, EOFError, *_NO_JSON) as error:
        raise NetFileError(
            f"{path} is not a skdfal network, or is damaged: {error}."
        ) from error
    _check(path, about)
    try:
        return about, torch.load(weights, weights_only=True, map_location="cpu")
    except Exception as error:  # of every kind, for what is damaged or forbidden
        raise NetFileError(f"The weights in {path} cannot be read.") from error


def _stored(archive, name, longest=None):
    """Return a part that is as long as it says: not packed, so it cannot explode."""
    info = archive.getinfo(name)
    if info.compress_type != zipfile.ZIP_STORED or info.file_size > (
        longest or info.file_size
    ):
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
