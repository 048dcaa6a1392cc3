"""The parser of ``skdfal``, with one parser per command."""

import argparse
from pathlib import Path

from skdfal._version import __version__
from skdfal.cli._arguments import folder
from skdfal.cli._compare import add_compare
from skdfal.cli._label import add_label
from skdfal.cli._pictures import add_for_pictures
from skdfal.cli._reproduce import add_reproduce
from skdfal.cli._status import BAD_ARGUMENTS

# Arguments whose values can be completed, and the kind of the names.
_COMPLETED = {
    "dataset": "datasets",
    "net": "nets",
    "strategies": "strategies",
    "strategy": "strategies",
}


def make_parser():
    """Return the parser of ``skdfal`` and all its commands.

    Returns
    -------
    parser : ArgumentParser
        The parser. Its results have ``load``, a function that imports and returns the
        function that does the work.
    """
    parser = _Parser(
        prog="skdfal",
        description="Deep active learning: train CNNs with few labels.",
    )
    parser.add_argument("--version", action="version", version=f"skdfal {__version__}")
    parser.add_argument(
        "--print-completion",
        action=_PrintCompletion,
        choices=("bash", "zsh"),
        help="print a completion script for a shell, and exit",
    )
    commands = parser.add_subparsers(dest="command", metavar="command", required=True)
    for add in (add_compare, add_reproduce, add_label, add_for_pictures):
        add(commands)
    return parser


class _Parser(argparse.ArgumentParser):
    def error(self, message):
        """Print one line that says what is wrong, without the usage."""
        self.exit(BAD_ARGUMENTS, f"{self.prog}: error: {message}\n")


class _PrintCompletion(argparse.Action):
    """Prints a completion script for a shell, with our names, and files for paths."""

    def __call__(self, parser, namespace, shell, option_string=None):
        try:
            import shtab
        except ImportError:
            parser.error(
                f'{option_string} needs shtab: pip install "skdfal[completion]"'
            )
        from skdfal.cli._names import names

        known = names()
        (commands,) = (a for a in parser._actions if isinstance(a.choices, dict))
        for command in commands.choices.values():
            for action in command._actions:
                if action.type in (Path, folder):
                    action.complete = shtab.FILE
                elif action.dest in _COMPLETED and action.choices is None:
                    action.choices = known[_COMPLETED[action.dest]]
        print(shtab.complete(parser, shell))
        parser.exit()
