"""One run of an experiment of the paper, and its output files."""

import sys
from collections import Counter
from typing import NamedTuple

from skdfal._utils._files import write_csv, write_json, write_text
from skdfal.experiment import run_experiment
from skdfal.experiment._machine import machine_name, package_versions
from skdfal.experiment._run import rounds_cut_short
from skdfal.reproduce._paper import load_protocol, paper_accuracies
from skdfal.reproduce._pictures import PICTURES, save_learning_curves

_SOURCE = "The paper's values: arXiv:1802.09841, {}."


class Run(NamedTuple):
    """What all experiments need of the arguments.

    Parameters
    ----------
    arguments : argparse.Namespace
        Arguments of the command.
    paper : PaperProtocol
        The protocol, as changed for this experiment.
    settings : dict
        Further settings of the experiment.
    out_dir : Path
        Folder for the files.
    """

    arguments: object
    paper: object
    settings: dict
    out_dir: object

    @property
    def protocol(self):
        """The protocol, as changed for this experiment."""
        return self.paper.protocol

    @property
    def place(self):
        """Data set, net and scale."""
        return self.arguments.dataset, self.arguments.net, self.arguments.scale

    @property
    def published_n_trials(self):
        """Number of trials per strategy in the paper."""
        return load_protocol(self.arguments.dataset, self.arguments.net).n_trials

    @property
    def shared(self):
        """Parameters of all functions that compute something."""
        return {
            "seed": self.arguments.seed,
            "out_dir": self.out_dir,
            "device": self.arguments.device,
            "n_threads": self.arguments.threads,
        }

    def trials(self, strategies):
        """Run trials of strategies, and return the rows of all trials in the folder."""
        return run_experiment(
            self.protocol,
            strategies,
            self.arguments.trials or self.paper.n_trials,
            n_jobs=self.arguments.jobs,
            resume=True,
            **self.shared,
        )

    # Notes

    def note(self, *more):
        """Return how the run departs from the paper, for table and figure."""
        deviations = [*self.paper.deviations, *more]
        departs = "Departs from the paper: " + "; ".join(deviations) + "."
        departs = departs if deviations else "As in the paper."
        return f'Scale "{self.arguments.scale}". {departs}'

    def note_of_trials(self, records, *more):
        """Return the note, with the number of trials and of queries cut short."""
        theirs, counts = self.published_n_trials, set(trials_of(records).values())
        note = self.note(*more)
        if counts != {theirs}:
            ours = " to ".join(map(str, sorted({min(counts), max(counts)})))
            note += f" Trials of a strategy: {ours}, not {theirs}."
        return note + "".join(
            f" {n} queries of {name} reached their time limit."
            for name, n in rounds_cut_short(self.out_dir).items()
        )

    def points(self, records):
        """Return the paper's accuracies within the range of ours, to draw as points."""
        published = paper_accuracies(self.protocol.dataset, self.protocol.net)
        points = {
            name: [
                (n, value)
                for n, value in values.items()
                if n != "all" and n <= self.protocol.max_annotations
            ]
            for name, values in published.items()
            if any(row["strategy"] == name for row in records)
        }
        return {name: pairs for name, pairs in points.items() if pairs}

    # Files, all named after the experiment

    def write_tables(self, title, note, tables, source=None):
        """Print tables and write them as Markdown; ``tables`` takes a format."""
        more = f" {_SOURCE.format(source)}" if source else ""
        write_tables(self.path("md"), title, note, tables, more)

    def write_rows(self, rows):
        """Write the measurements as CSV."""
        write_csv(self.path("csv"), rows)

    def write_run(self, **found):
        """Write versions, settings and results as JSON."""
        settings = self.protocol.settings() | self.settings
        write_run(self.path("json"), settings, self.arguments, **found)

    def draw_curves(self, records, name, note, points, *, title=None, **parameters):
        """Draw learning curves together with the paper's points."""
        draw_or_say(
            lambda: save_learning_curves(
                records,
                self.out_dir / f"{name}.png",
                title=title or f"{self.protocol.dataset}, {self.protocol.net}",
                note=note,
                points=points,
                **parameters,
            )
        )

    def name_files(self):
        """Print the names of the files that exist."""
        what = self.arguments.what
        suffixes = ("md", "csv", "json", *PICTURES)
        name_files(self.out_dir, [f"{what}.{suffix}" for suffix in suffixes])

    def path(self, suffix):
        """Return the path of the experiment's file with a suffix."""
        return self.out_dir / f"{self.arguments.what}.{suffix}"


def write_tables(path, title, note, tables, more=""):
    """Print tables and write them as Markdown.

    Parameters
    ----------
    path : Path
        The file.
    title, note : str
        Title and note above the tables.
    tables : callable
        Function that takes a table format of tabulate and returns a list of str.
    more : str, default=""
        Addition to the note, in the file only.
    """
    say("\n" + "\n\n".join([f"{title}\n{note}", *tables("simple")]) + "\n")
    text = "\n\n".join([title, note + more, *tables("github")])
    write_text(path, f"{text}\n")


def write_run(path, settings, arguments, **found):
    """Write settings, versions and results as JSON.

    Parameters
    ----------
    path : Path
        The file.
    settings : dict
        Settings of the experiment.
    arguments : argparse.Namespace
        Arguments of the command: ``seed``, ``device`` and ``threads``.
    **found : dict
        Results.
    """
    about = {
        "settings": settings,
        "seed": arguments.seed,
        "device": arguments.device,
        "versions": package_versions(),
        "machine": machine_name(arguments.threads),
    }
    write_json(path, about | found)


def trials_of(records):
    """Return the number of trials of each strategy in records.

    Parameters
    ----------
    records : list of dict
        Rows returned by :func:`run_experiment`.

    Returns
    -------
    trials : dict of str to int
        Number of trials by strategy, in the order of the records.
    """
    trials = dict.fromkeys((row["strategy"], row["trial"]) for row in records)
    return dict(Counter(strategy for strategy, _ in trials))


def draw_or_say(draw):
    """Draw, or print what is missing.

    Parameters
    ----------
    draw : callable
        Function that draws.
    """
    try:
        draw()
    except ImportError:
        print(
            "No figures: matplotlib cannot be imported. Install it with\n"
            "  pip install matplotlib\n"
            "and run the command again: finished trials are kept.",
            file=sys.stderr,
        )


def name_files(out_dir, names):
    """Print which of the files exist.

    Parameters
    ----------
    out_dir : Path
        Folder of the files.
    names : sequence of str
        Names of the files.
    """
    found = [name for name in names if (out_dir / name).exists()]
    say(f"Results in {out_dir}: {', '.join(found)}")


def say(text):
    """Print text, with "?" for characters that the output encoding lacks.

    Parameters
    ----------
    text : str
        The text, such as a table with ±.
    """
    encoding = getattr(sys.stdout, "encoding", None) or "utf-8"
    print(text.encode(encoding, "replace").decode(encoding))
