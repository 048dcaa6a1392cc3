"""Pretrained networks of torchvision and timm, and the linear head on their features.

Nothing is downloaded: the weights must be where those libraries keep them.
"""

import copy
import functools
import hashlib
import os
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import nn

from skdfal._utils._torch import ALL_THREADS, threads

IMAGE_SIZE = 224  # pixels; nearly all of them were trained at this size
_BATCH = 32
_LIBRARIES = ("torchvision", "timm")


class Backbone(NamedTuple):
    """A pretrained network without its classifier.

    Attributes
    ----------
    name : str
        ``torchvision/...`` or ``timm/...``.
    module : nn.Module
        Module that maps normalised pictures to features.
    mean, std : Tensor of shape (1, 3, 1, 1)
        Mean and standard deviation of its training data, for normalisation.
    n_features : int
        Number of features.
    """

    name: str
    module: Any
    mean: Any
    std: Any
    n_features: int

    def features(self, X):
        """Return the features of pictures.

        Parameters
        ----------
        X : ndarray of float32, shape (n_samples, 1 or 3, height, width)
            Pictures in [0, 1].

        Returns
        -------
        features : ndarray of float32, shape (n_samples, n_features)
            Output of the last layer but one.
        """
        x = torch.from_numpy(X).expand(-1, 3, -1, -1)
        device = self.mean.device
        with torch.inference_mode(), threads(ALL_THREADS):
            batches = [
                self.module((part.to(device) - self.mean) / self.std).flatten(1).cpu()
                for part in x.split(_BATCH)
            ]
        return torch.cat(batches).numpy()

    def on(self, device):
        """Return the backbone on a device.

        Parameters
        ----------
        device : str
            Device to compute the features on.

        Returns
        -------
        backbone : Backbone
            A copy there, or this one for the CPU.
        """
        if device == "cpu":  # where it was loaded
            return self
        module = copy.deepcopy(self.module).to(device)
        mean, std = self.mean.to(device), self.std.to(device)
        return self._replace(module=module, mean=mean, std=std)

    def digest(self):
        """Return a hash of the weights.

        Returns
        -------
        digest : str
            64 hexadecimal digits.
        """
        state = hashlib.sha256()
        for name, tensor in self.module.state_dict().items():
            state.update(name.encode())
            state.update(tensor.cpu().numpy().tobytes())
        return state.hexdigest()


class LinearHead(nn.Module):
    """A linear layer on features that are standardised per sample.

    Parameters
    ----------
    n_features : int
        Number of features.
    n_classes : int
        Number of classes.
    """

    feature_layers = ("norm",)  # inputs of a loss-prediction head

    def __init__(self, n_features, n_classes):
        super().__init__()
        self.norm = nn.LayerNorm(n_features, elementwise_affine=False)
        self.out = nn.Linear(n_features, n_classes)

    def forward(self, x):
        """Return the logits, of shape (n_samples, n_classes)."""
        return self.out(self.norm(x))


def is_backbone(name):
    """Whether a net of this name is a pretrained backbone with a linear head."""
    return "/" in name


@functools.cache
def load_backbone(name):
    """Return a pretrained network whose weights are on this machine.

    Parameters
    ----------
    name : str
        ``torchvision/resnet18``, ``timm/convnext_tiny``, or the like.

    Returns
    -------
    backbone : Backbone
        The network, in evaluation mode.

    Raises
    ------
    ValueError
        If the library is not installed, has no such network, or the weights are
        missing; the message says how to get them.
    """
    library, _, model = name.partition("/")
    if library not in _LIBRARIES or not model or ":" in model:
        raise ValueError(
            f"net={name!r} should be torchvision/NAME or timm/NAME, such as "
            "torchvision/resnet18."
        )
    load = _of_torchvision if library == "torchvision" else _of_timm
    with torch.random.fork_rng(devices=[]):
        try:
            module, mean, std = load(model)
        except ImportError as error:
            raise ValueError(
                f"net={name!r} needs {error.name}: python -m pip install {library}."
            ) from error
    module.eval().requires_grad_(False)
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (mean, std))
    backbone = Backbone(name, module, mean, std, 0)
    blank = np.zeros((1, 3, IMAGE_SIZE, IMAGE_SIZE), np.float32)
    return backbone._replace(n_features=backbone.features(blank).shape[1])


def _of_torchvision(model):
    from torchvision import models

    if model not in models.list_models(module=models):
        raise ValueError(f"torchvision has no classifier {model!r}.")
    weights = models.get_model_weights(model).DEFAULT
    module = models.get_model(model, weights=None)
    path = _in_hub(weights.url)
    if path is None:
        get = f"from torchvision import models as m; m.get_model({model!r}, weights=1)"
        raise ValueError(_absent(f"torchvision/{model}", get))
    module.load_state_dict(torch.load(path, weights_only=True, map_location="cpu"))
    last = [n for n, part in module.named_modules() if isinstance(part, nn.Linear)][-1]
    module.set_submodule(last, nn.Identity())
    preset = weights.transforms()
    return module, preset.mean, preset.std


def _of_timm(model):
    import timm

    if not timm.is_model(model):
        raise ValueError(f"timm has no model {model!r}.")
    module = timm.create_model(model, pretrained=False, num_classes=0)
    about = module.pretrained_cfg
    state = _state_of_timm(about)
    if state is None:
        get = f"import timm; timm.create_model({model!r}, pretrained=True)"
        raise ValueError(_absent(f"timm/{model}", get))
    if module.load_state_dict(state, strict=False).missing_keys:
        raise ValueError(f"The weights found for timm/{model} lack some layers.")
    return module, about["mean"], about["std"]


def _state_of_timm(about):
    from huggingface_hub import try_to_load_from_cache
    from safetensors.torch import load_file

    if about.get("hf_hub_id"):
        path = try_to_load_from_cache(about["hf_hub_id"], "model.safetensors")
        if isinstance(path, str):
            return load_file(path)
    path = _in_hub(about.get("url") or "")
    return path and torch.load(path, weights_only=True, map_location="cpu")


def _in_hub(url):
    """Return the file that torch downloaded from an address, or None."""
    path = os.path.join(torch.hub.get_dir(), "checkpoints", os.path.basename(url))
    return path if url and os.path.isfile(path) else None


def _absent(name, get):
    return (
        f"The weights of {name} are not on this machine, and nothing is downloaded "
        f'here. Fetch them once: python -c "{get}"'
    )
