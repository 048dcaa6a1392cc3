"""Adversarial active learning for deep networks, in the style of scikit-learn."""

import os
from importlib import import_module
from pkgutil import iter_modules
from typing import TYPE_CHECKING

from skdfal import modal
from skdfal._version import __version__ as __version__

if TYPE_CHECKING:
    from skdfal._public import *  # noqa: F403

if os.environ.get("SKDFAL_REPAIR_MODAL") != "0":
    modal.repair()


def __getattr__(name):
    """Load a subpackage, or all public names when one is first used.

    Loading them takes as long as importing torch and scikit-learn. The help and the
    error messages of the command need not wait for that.
    """
    if name in _rooms():
        return import_module(f"{__name__}.{name}")
    if name == "__all__" or not name.startswith("_"):
        public = import_module(f"{__name__}._public")
        globals().update({n: getattr(public, n) for n in ("__all__", *public.__all__)})
        if name in globals():
            return globals()[name]
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__():
    own = {name for name in globals() if name.startswith("__")}
    rooms = {name for name in _rooms() if not name.startswith("_")}
    return sorted(own | rooms | {*__getattr__("__all__")})


def _rooms():
    return {module.name for module in iter_modules(__path__)}  # noqa: F405
