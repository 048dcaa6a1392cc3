"""Write the page of the API from the public names of the package."""

import importlib
import re

MODULES = (
    "skdfal",
    "skdfal.datasets",
    "skdfal.plot",
    "skdfal.experiment",
    "skdfal.reproduce",
)

# Where a name of ``skdfal`` is listed, by the module that defines it.
SECTIONS = {
    "skdfal.learner": "The loop",
    "skdfal.augment": "Augmenters",
    "skdfal.strategies": "Query strategies",
    "skdfal.cover": "Covers of arrays",
    "skdfal.adversarial": "DeepFool",
    "skdfal.nets": "Networks and classifiers",
    "skdfal": "Everything else",
    "skdfal.datasets": "Data sets",
    "skdfal.plot": "Displays",
    "skdfal.experiment": "Experiments",
    "skdfal.reproduce": "The paper, run again",
}

# Public names that are data have no docstring; each needs a sentence here.
DATA = {
    "skdfal.__version__": "Version of the package, a string.",
    "skdfal.STRATEGIES": "Names for the ``query_strategy`` of "
    ":class:`ActiveLearningClassifier` and for the command line, each with its "
    "function.",
    "skdfal.experiment.DATASETS": "Data sets of ``skdfal compare``, by name.",
    "skdfal.experiment.NETS": "Names of the networks of ``skdfal compare``.",
    "skdfal.reproduce.PAPER_DATASETS": "Data sets of ``skdfal reproduce``, each with "
    "its name in the DFAL paper.",
    "skdfal.reproduce.PAPER_METHODS": "Names of the seven methods of the paper's "
    "Table 1.",
    "skdfal.experiment.PAPER_STRATEGIES": "Those methods and the diverse DFAL that the "
    "paper leaves open.",
    "skdfal.reproduce.SCALES": "Scales of ``skdfal reproduce``: how much of the "
    "paper's experiment is run.",
}

HEAD = """\
.. This page is written from the public names at each build; do not edit it.

.. _api:

API reference
=============
"""


def public_names():
    """List (module, name, object) of all that is public, in the order of the page."""
    found = []
    for module_name in MODULES:
        try:
            module = importlib.import_module(module_name)
        except ModuleNotFoundError:
            continue
        for name in getattr(module, "__all__", ()):
            found.append((module_name, name, getattr(module, name)))
    return found


def section_of(module_name, obj):
    """Return the section in which a name of a module is listed."""
    if module_name != "skdfal":
        return SECTIONS[module_name]
    defined_in = getattr(obj, "__module__", None) or "skdfal"
    for prefix, title in SECTIONS.items():
        if defined_in == prefix or defined_in.startswith(prefix + "."):
            return title
    return SECTIONS["skdfal"]


def api_page():
    """Return the text of the page."""
    listed, data = {}, {}
    for module_name, name, obj in public_names():
        if callable(obj):
            listed.setdefault(section_of(module_name, obj), []).append(
                (module_name, name)
            )
        else:
            data.setdefault(section_of(module_name, obj), []).append(
                (module_name, name)
            )
    parts = [HEAD]
    for title in dict.fromkeys(SECTIONS.values()):
        if title not in listed and title not in data:
            continue
        parts.append(f"\n{title}\n{'-' * len(title)}\n")
        names = listed.get(title, [])
        for module_name in dict.fromkeys(module for module, _ in names):
            parts.append(f"\n.. currentmodule:: {module_name}\n")
            parts.append(
                "\n.. autosummary::\n   :toctree: generated\n   :nosignatures:\n"
            )
            own = sorted((n for m, n in names if m == module_name), key=str.lower)
            parts.extend([f"\n   {name}" for name in own] + ["\n"])
        for module_name, name in data.get(title, []):
            text = DATA[f"{module_name}.{name}"]
            parts.append(
                f"\n.. py:data:: {name}\n   :module: {module_name}\n\n   {text}\n"
            )
    return "".join(parts)


def write_api_page(path):
    """Write the page, unless it is there as it should be."""
    text = api_page()
    path.parent.mkdir(parents=True, exist_ok=True)
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def setup(app):
    """Show summaries in the tables of the API without their citation marks."""
    from sphinx.ext.autosummary import Autosummary

    class PlainAutosummary(Autosummary):
        def get_items(self, names):
            return [
                (name, signature, re.sub(r",?\s*\[R\w+-\d+\]_", "", summary), real)
                for name, signature, summary, real in super().get_items(names)
            ]

    app.add_directive("autosummary", PlainAutosummary, override=True)
    return {"parallel_read_safe": True}
