"""The gallery and the teaching notebook: their form always, their run with -m slow."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("*.py"))
NOTEBOOKS = sorted(EXAMPLES.glob("*.ipynb"))

pytestmark = pytest.mark.skipif(
    not EXAMPLES.is_dir(), reason="examples are not part of an installed package"
)

# Runs a script as sphinx-gallery does, and tells how many figures it leaves.
RUN = """
import runpy, sys
import matplotlib.pyplot as plt
plt.show = lambda: None
runpy.run_path(sys.argv[1], run_name="__main__")
sizes = [len(plt.figure(i).axes) for i in plt.get_fignums()]
assert sizes and all(sizes), f"axes of its figures: {sizes}"
"""


def _cells(path):
    import json

    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def test_numbers_are_in_reading_order():
    numbers = [int(re.match(r"plot_(\d\d)_", path.name)[1]) for path in SCRIPTS]
    # No gap and nothing twice: 1, 2, 3 and so on.
    assert numbers == list(range(1, len(SCRIPTS) + 1))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_has_the_form_of_the_gallery(path):
    text = path.read_text(encoding="utf-8")
    title, underline, *story = ast.get_docstring(ast.parse(text)).splitlines()
    # The title carries the number of the file and is underlined as rst wants it.
    assert title.startswith(f"{int(path.name[5:7])}. ")
    assert set(underline) == {"="}
    assert len(underline) >= len(title)
    # It opens with what we will see and ends with what we saw, in a cell of its own.
    assert "hat we will see" in " ".join(story)
    assert "\n# %%\n# We saw" in text[text.rindex("\n# %%") :]
    # sphinx-gallery collects the figures of pyplot.
    assert "plt.show()" in text
    # Readers copy what they see: no private module.
    assert not re.findall(r"(?:from|import) (skdfal\.[\w.]*\b_\w+)", text)


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_kept_without_outputs(path):
    cells = _cells(path)
    for cell in cells:
        if cell["cell_type"] == "code":
            assert not cell["outputs"]
            assert cell["execution_count"] is None
            compile("".join(cell["source"]), str(path), "exec")
    # Each exercise has its solution.
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] != "code")
    exercises = set(re.findall(r"^### (Exercise \d+)", text, re.M))
    assert exercises
    assert exercises == set(re.findall(r"^\*\*(Exercise \d+)", text, re.M))


def _environment():
    root = str(EXAMPLES.parent)
    path = os.pathsep.join(filter(None, [root, os.environ.get("PYTHONPATH")]))
    return os.environ | {"PYTHONPATH": path}


@pytest.mark.slow
@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.stem)
def test_script_runs_and_leaves_a_figure(path, tmp_path):
    pytest.importorskip("matplotlib", reason="install skdfal[plots] for the examples")
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", RUN, str(path)],
        cwd=tmp_path,
        env=_environment() | {"MPLBACKEND": "Agg"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path, tmp_path, monkeypatch):
    reason = "install skdfal[examples] to run the notebook"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PYTHONPATH", _environment()["PYTHONPATH"])
    # Its figures are made by the inline backend, which a test run may have replaced.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    client = nbclient.NotebookClient(
        notebook, timeout=600, kernel_name="python3", resources={"metadata": {}}
    )
    client.execute(cwd=str(tmp_path))
    pictures = [
        output
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if {"image/png", "text/html"} & set(output.get("data", {}))
    ]
    assert len(pictures) >= 8
    printed = "\n".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    # The solutions were checked, not only run.
    assert all(f"Exercise {i} is right" in printed for i in (1, 2, 3))
