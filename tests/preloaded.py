"""What most processes of the tests import, as far as it can be imported here."""

import contextlib
import importlib

import pytest

# The second is loaded by the first optimizer, which takes as long as all the others.
for _name in (
    "skdfal.cli._comparison",
    "skdfal.cli._work",
    "torch._dynamo",
    "skdfal.label._label",
    "tests.conftest",
    "tests.label.projects",
):
    with contextlib.suppress(Exception, pytest.skip.Exception):
        importlib.import_module(_name)
