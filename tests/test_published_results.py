"""The page on task-aware methods shows what its rows say."""

import importlib
from pathlib import Path

import pytest

from skdfal.experiment import accuracy_table, read_records
from skdfal.reproduce._task_aware import improvement_table, improvements

DOCS = Path(__file__).parents[1] / "docs"
RESULTS = DOCS / "results"
FOLDERS = sorted(path.parent for path in RESULTS.glob("task-aware-*/rounds.csv"))

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="pages are not part of an installed package"
)


@pytest.fixture
def make_results(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    return importlib.import_module("make_results_task_aware")


def read(path):
    """Return a published table; on a page no line breaks before or after its ±."""
    return path.read_text(encoding="utf-8").replace("\N{NO-BREAK SPACE}", " ")


def test_overview_of_two_data_sets(make_results, tmp_path):
    rows = "strategy,trial,annotations,score\n"
    seconds = "strategy,trial,round,annotations,fit_seconds,query_seconds\n"
    for name, scores in (("cifar10", (0.2, 0.5)), ("svhn-x10", (0.4, 0.4))):
        folder = tmp_path / f"task-aware-{name}"
        folder.mkdir()
        text = rows
        for trial, better in enumerate(scores):
            # At the first stage nothing was chosen yet: it does not count.
            text += f"random,{trial},10,0.9\ndfal,{trial},10,0.1\n"
            text += f"random,{trial},20,0.1\ndfal,{trial},20,{better}\n"
        (folder / "rounds.csv").write_text(text)
        (folder / "seconds.csv").write_text(
            f"{seconds}random,0,0,10,2,\ndfal,0,0,10,4,\ndfal,0,1,20,4,8\n"
        )
    folders = sorted(tmp_path.iterdir())
    improvement, timing = make_results.task_aware_overview(folders)
    cells = [cell.strip() for cell in improvement.splitlines()[-1].split("|")[1:-1]]
    assert cells == ["DFAL", "+25.0 ± 21.2 (2)", "+30.0 ± 0.0 (2)"]
    assert "SVHN, 1:10" in improvement.splitlines()[0]
    cells = [cell.strip() for cell in timing.splitlines()[-1].split("|")[1:-1]]
    assert cells == ["DFAL", "4.0", "8.00", "2.00"]


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_tables_are_those_of_the_rows(folder):
    records = read_records(folder / "rounds.csv")
    marks = sorted({row["annotations"] for row in records})
    text = read(folder / "task-aware.md")
    assert accuracy_table(records, marks, tablefmt="github") in text
    better = improvements(records)
    assert improvement_table(better, marks, tablefmt="github") in text
    assert "random" in {row["strategy"] for row in records}


@pytest.mark.skipif(not FOLDERS, reason="no results")
def test_the_overview_is_that_of_the_rows(make_results):
    text = read(RESULTS / "task-aware" / "overview.md")
    assert text == "\n\n".join(make_results.task_aware_overview(FOLDERS)) + "\n"
