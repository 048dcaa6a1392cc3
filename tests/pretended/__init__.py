"""The device "pretended": what runs on it forgets no tensor on the CPU, as on a GPU."""

import contextlib
import shutil
import subprocess
from pathlib import Path

import pytest
import torch
from torch.utils import cpp_extension


class _Device:
    """What torch asks the module of a device for."""

    @staticmethod
    def is_available():
        return True

    @staticmethod
    def device_count():
        return 1

    @staticmethod
    def current_device():
        return 0

    @staticmethod
    def device(device):
        return contextlib.nullcontext()

    @staticmethod
    def _is_in_bad_fork():
        return False

    # It draws by the generator of the CPU, which has its own state.

    @staticmethod
    def manual_seed_all(seed):
        pass

    @staticmethod
    def get_rng_state(device=None):
        return torch.empty(0, dtype=torch.uint8)

    @staticmethod
    def set_rng_state(state, device=None):
        pass


def register(folder):
    """Compile the device in a folder and make it known to torch; returns its name."""
    compiler = shutil.which("c++")
    if compiler is None:
        pytest.skip("there is no CUDA device, and no c++ to compile a pretended one")
    library = Path(folder, "device.so")
    includes = [f"-I{path}" for path in cpp_extension.include_paths()]
    links = [f"-L{path}" for path in cpp_extension.library_paths()]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    options = ["-std=c++20", "-shared", "-fPIC", abi, *includes, *links]
    source = Path(__file__).with_name("device.cpp")
    parts = [source, "-o", library, "-ltorch_cpu", "-lc10"]
    subprocess.run([compiler, *options, *parts], check=True)
    torch.utils.rename_privateuse1_backend("pretended")
    torch._register_device_module("pretended", _Device)
    torch.utils.generate_methods_for_privateuse1_backend()
    torch.ops.load_library(library)
    return "pretended"
