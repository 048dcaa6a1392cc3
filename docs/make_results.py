"""Gather the files of finished experiments for the page of results.

python docs/make_results.py FOLDER [FOLDER ...]

Each folder is one of `skdfal reproduce` or `skdfal compare`. Its tables, rows, settings
and pictures are copied to docs/results/, not the files of single trials. Of comparisons
whose folder lies in one named "settings", there are the rows, and one table for all.
"""

import json
import shutil
import sys
from pathlib import Path

from tabulate import tabulate

from skdfal.experiment import read_records
from skdfal.experiment._table import in_percent, summarize_all

RESULTS = Path(__file__).parent / "results"
SUFFIXES = {".md", ".csv", ".json", ".png", ".svg"}


def copy_outputs(folder):
    """Copy what sums an experiment up."""
    target = RESULTS / folder.name
    target.mkdir(parents=True, exist_ok=True)
    left_out = {"settings.json", "twins.png"}
    for path in sorted(folder.iterdir()):
        if path.suffix in SUFFIXES and path.name not in left_out:
            shutil.copyfile(path, target / path.name)


def changed_settings(folders):
    """Return for each folder in what its settings differ from those of the first."""
    usual, *others = (
        json.loads((folder / "settings.json").read_text()) for folder in folders
    )
    return ["as it is"] + [
        ", ".join(f"{key}={v}" for key, v in other.items() if v != usual.get(key))
        for other in others
    ]


def settings_table(folders):
    """Return one line per folder: what was changed, accuracies of its strategies."""
    lines = []
    for folder, changed in zip(folders, changed_settings(folders), strict=True):
        records = read_records(folder / "rounds.csv")
        last = max(row["annotations"] for row in records)
        summaries = summarize_all(records, [last])
        cells = {name: in_percent(found[last]) for name, found in summaries.items()}
        lines.append({"setting": changed, **cells})
    return tabulate(lines, headers="keys", tablefmt="github", disable_numparse=True)


def main(names):
    """Gather the folders with these names."""
    folders = [Path(name).resolve() for name in names]
    settings = [folder for folder in folders if folder.parent.name == "settings"]
    for folder in folders:
        if folder not in settings:
            copy_outputs(folder)
    if settings:
        target = RESULTS / "settings"
        target.mkdir(parents=True, exist_ok=True)
        for folder in settings:
            shutil.copyfile(folder / "rounds.csv", target / f"{folder.name}.csv")
        text = f"{settings_table(settings)}\n"
        (target / "table.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
