"""The device "pretended": what runs on it forgets no tensor on the CPU, as on a GPU.

`python -m pytest -p tests.pretended ...` has it: torch counts the devices as it first
computes a gradient, so that it cannot come later.
"""

import contextlib
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch.utils import cpp_extension

COMPILER = "c++"
name = None  # of the device, once there is one


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


def pytest_configure(config):
    """Compile the device and make it known to torch."""
    global name
    with TemporaryDirectory() as folder:
        library = Path(folder, "device.so")
        _compile(library)
        torch.utils.rename_privateuse1_backend("pretended")
        torch._register_device_module("pretended", _Device)
        torch.utils.generate_methods_for_privateuse1_backend()
        torch.ops.load_library(library)
    name = "pretended"


def _compile(library):
    includes = [f"-I{path}" for path in cpp_extension.include_paths()]
    links = [f"-L{path}" for path in cpp_extension.library_paths()]
    abi = f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}"
    options = ["-std=c++20", "-shared", "-fPIC", abi, *includes, *links]
    source = Path(__file__).with_name("device.cpp")
    parts = [source, "-o", library, "-ltorch_cpu", "-lc10"]
    subprocess.run([COMPILER, *options, *parts], check=True)
