"""The tests of devices where there is no GPU."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.pretended import COMPILER


@pytest.mark.slow
@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
@pytest.mark.skipif(shutil.which(COMPILER) is None, reason=f"there is no {COMPILER}")
def test_what_holds_on_a_device_that_is_not_the_cpu():
    here = Path(__file__).parent
    options = ["-p", "tests.pretended", "-p", "no:cacheprovider", "-n", "0", "-q"]
    run = subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(here / "test_devices.py")],
        cwd=here.parent,
        capture_output=True,
        text=True,
    )
    assert run.returncode == 0, run.stdout + run.stderr
    assert "skipped" not in run.stdout
