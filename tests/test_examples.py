"""The gallery and the teaching notebook: their form always, their run with -m slow."""

import ast
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"
SCRIPTS = sorted(EXAMPLES.glob("plot_*.py"))
SOLUTIONS = EXAMPLES / "teaching_solutions.py"
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


def _named(source):
    """Return the functions and classes of a text by their names, as texts."""
    definitions = ast.FunctionDef | ast.ClassDef
    return {
        node.name: ast.get_source_segment(source, node)
        for node in ast.parse(source).body
        if isinstance(node, definitions)
    }


def _solved(source, solutions):
    """Return a cell whose skeleton, if it has one, is filled in."""
    for name, skeleton in _named(source).items():
        source = source.replace(skeleton, solutions.get(name, skeleton))
    return source


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_each_part_has_an_exercise_with_gaps_and_a_solution(path):
    cells = _cells(path)
    text = "\n".join("".join(c["source"]) for c in cells if c["cell_type"] != "code")
    parts = re.split(r"^## (?=\d)", text, flags=re.M)[1:]
    exercises = [re.findall(r"^### Exercise (\d)", part, re.M) for part in parts]
    assert exercises == [[str(number)] for number in range(1, len(parts) + 1)]
    solutions = _named(SOLUTIONS.read_text(encoding="utf-8"))
    code = ["".join(c["source"]) for c in cells if c["cell_type"] == "code"]
    for name, solution in solutions.items():
        (skeleton,) = [_named(cell)[name] for cell in code if name in _named(cell)]
        assert "..." in skeleton, f"{name} has no gap"
        assert "..." not in solution
    assert len(solutions) == len(parts)


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
@pytest.mark.parametrize("is_solved", [False, True], ids=["gaps", "solved"])
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_runs_from_top_to_bottom(path, is_solved, tmp_path, monkeypatch):
    reason = "install skdfal[examples] to run the notebook"
    nbclient = pytest.importorskip("nbclient", reason=reason)
    nbformat = pytest.importorskip("nbformat", reason=reason)
    pytest.importorskip("ipykernel", reason=reason)
    monkeypatch.setenv("PYTHONPATH", _environment()["PYTHONPATH"])
    # Its figures are made by the inline backend, which a test run may have replaced.
    monkeypatch.delenv("MPLBACKEND", raising=False)
    notebook = nbformat.read(path, as_version=4)
    solutions = _named(SOLUTIONS.read_text(encoding="utf-8")) if is_solved else {}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.source = _solved(cell.source, solutions)
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
    assert len(pictures) >= 7
    printed = "\n".join(
        output.text
        for cell in notebook.cells
        for output in cell.get("outputs", [])
        if output.output_type == "stream"
    )
    verdict = "is right" if is_solved else "is not solved yet"
    assert all(f"Exercise {i} {verdict}" in printed for i in range(1, 7))
