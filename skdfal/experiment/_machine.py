"""The machine that an experiment runs on: cores, device, versions."""

import os
import platform
from importlib.metadata import PackageNotFoundError, version

import torch

from skdfal._version import __version__

_PACKAGES = ("modAL-python", "numpy", "ortools", "scikit-learn", "skorch")


def n_cores():
    """Return the number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def check_device(device):
    """Raise a ValueError if torch cannot compute on the device of this name."""
    if not isinstance(device, str):
        raise ValueError(f"{device=!r} should be a name, such as 'cpu' or 'cuda:0'.")
    try:
        torch.zeros(1, device=device).item()  # fails on "meta", which has no values
    except (RuntimeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ValueError(f"{device=!r} cannot be used: {reason}") from error


def machine_name(n_threads):
    """Return a description of processor, system and number of threads."""
    processor = platform.processor()
    try:
        with open("/proc/cpuinfo", encoding="utf-8") as file:
            lines = [line for line in file if line.startswith("model name")]
        processor = lines[0].partition(":")[2].strip()
    except (OSError, IndexError):  # another system
        pass
    threads = "1 thread" if n_threads == 1 else f"{n_threads} threads"
    return f"{processor or platform.machine()}, {platform.system()}, {threads}"


def package_versions():
    """Return the versions of Python, skdfal and the packages it computes with."""
    versions = {"python": platform.python_version(), "skdfal": __version__}
    for package in _PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = None
    return versions | {"torch": str(torch.__version__)}  # with its build: "+cu130"
