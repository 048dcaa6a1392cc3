"""Sizes, parameter checks and initial weights shared by the networks."""

from collections.abc import Sequence
from numbers import Integral, Real
from typing import Any

from torch import nn

_N_CHANNELS = (1, 3, 4)  # of images: grey, colour, colour with transparency

# What to do about the images that has_channels_last finds.
CHANNELS_LAST = "The channels are the last axis: pass X.transpose(0, 3, 1, 2)."


def check_counts(**counts: int) -> None:
    """Raise a ValueError unless all counts are positive integers."""
    for name, value in counts.items():
        if not isinstance(value, Integral) or isinstance(value, bool) or value < 1:
            raise ValueError(f"{name}={value!r} should be an integer >= 1.")


def check_choice(name: str, value: str, choices: Sequence[str]) -> None:
    """Raise a ValueError listing the choices, unless value is one of them."""
    if value not in choices:
        raise ValueError(f"{name}={value!r} should be one of {list(choices)}.")


def check_image_size(
    image_size: int | tuple[int, int], *, minimum: int, net: str
) -> tuple[int, int]:
    """Return height and width, each at least minimum."""
    size = _pair(image_size, Integral)
    if size is None:
        raise ValueError(
            f"image_size={image_size!r} should be an integer or (height, width)."
        )
    if min(size) < minimum:
        raise ValueError(
            f"image_size={image_size!r} is too small for the pooling layers of {net}: "
            f"height and width should be >= {minimum}. Enlarge or pad the images."
        )
    return size


def has_channels_last(shape: tuple[int, ...]) -> bool:
    """Whether a sample looks like an image whose channels are its last axis."""
    if len(shape) != 3 or shape[2] not in _N_CHANNELS:
        return False
    return shape[0] not in _N_CHANNELS and shape[1] > max(_N_CHANNELS)


def check_rate(name: str, value: Any) -> None:
    """Raise a ValueError unless value is a rate in [0, 1)."""
    if not isinstance(value, Real) or not 0 <= float(value) < 1:
        raise ValueError(f"{name}={value!r} should be a rate in [0, 1).")


def dropout_rates(dropout: float | tuple[float, float]) -> tuple[float, float]:
    """Dropout rates of the convolutional and the dense part."""
    rates = _pair(dropout, Real)
    if rates is None or not all(0 <= rate < 1 for rate in rates):
        raise ValueError(
            f"dropout={dropout!r} should be a rate in [0, 1), or two of them: after "
            "the pooling layers, and between the dense layers."
        )
    return rates


def _pair(value: Any, kind: type) -> tuple[Any, Any] | None:
    """Return two numbers of a kind, one number twice, or None for anything else."""
    pair = (value, value) if isinstance(value, kind) else value
    if not isinstance(pair, Sequence) or len(pair) != 2:
        return None
    first, second = pair
    are_both = isinstance(first, kind) and isinstance(second, kind)
    return (first, second) if are_both else None


def scaled(n_units: int, width: float) -> int:
    """Number of units of a layer after scaling by a width factor."""
    if not isinstance(width, Real) or not 0 < width < float("inf"):
        raise ValueError(f"width={width!r} should be a positive number.")
    return max(1, round(n_units * width))


def size_after_pools(
    size: tuple[int, int], *, n_pools: int, shrink: int
) -> tuple[int, int]:
    """Height and width after stages that cut off shrink pixels and halve the rest."""
    height, width = size
    for _ in range(n_pools):
        height, width = (height - shrink) // 2, (width - shrink) // 2
    return height, width


def initialize_weights(*parts: nn.Module) -> None:
    """Draw weights of dense and convolutional layers as He et al. do; biases are 0."""
    for part in parts:
        for m in part.modules():
            if isinstance(m, nn.Linear | nn.Conv2d):
                nn.init.kaiming_normal_(m.weight)
                if m.bias is not None:
                    nn.init.zeros_(m.bias)
