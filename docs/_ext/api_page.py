"""Write the page of the API from the public names of the package."""

import importlib
import re

# What ``skdfal`` has too is listed there.
MODULES = (
    "skdfal",
    "skdfal.learner",
    "skdfal.strategies",
    "skdfal.augment",
    "skdfal.cover",
    "skdfal.adversarial",
    "skdfal.nets",
    "skdfal.pool",
    "skdfal.datasets",
    "skdfal.plot",
    "skdfal.analysis",
    "skdfal.experiment",
    "skdfal.reproduce",
    "skdfal.label",
    "skdfal.modal",
)
# Rooms whose names are for the other rooms alone.
INTERNAL = {"skdfal.adapter"}

# Where a name is listed, by the module that defines it; the order of the page.
SECTIONS = {
    "skdfal.learner": "The loop",
    "skdfal.augment": "Augmenters",
    "skdfal.strategies": "Query strategies",
    "skdfal.pool": "Pools",
    "skdfal.cover": "k-center on arrays",
    "skdfal.adversarial": "DeepFool",
    "skdfal.nets": "Networks and classifiers",
    "skdfal.datasets": "Data sets",
    "skdfal.plot": "Displays",
    "skdfal.analysis": "Analysis",
    "skdfal.experiment": "Experiments",
    "skdfal.reproduce": "Reproducing the paper",
    "skdfal.label": "The labelling page",
    "skdfal.modal": "modAL",
    "skdfal": "Everything else",
}
# What is listed in its room all the same.
HOMES = dict.fromkeys(
    ("Strategy", "describe", "register", "unregister"), "skdfal.strategies"
)
# Names that open their section; the others follow by the alphabet.
FIRST = ("LabelingSession", "ActiveLearningClassifier", "as_pool")

# Public names that are data have no docstring; each needs a sentence here.
DATA = {
    "skdfal.__version__": "Version of the package, a string.",
    "skdfal.STRATEGIES": "All registered strategies, a mapping from name to function. "
    "The names are accepted by the command line and as ``query_strategy`` of "
    ":class:`ActiveLearningClassifier`.",
    "skdfal.experiment.DATASETS": "Data sets of ``skdfal compare``, by name.",
    "skdfal.experiment.NETS": "Names of the networks of ``skdfal compare``.",
    "skdfal.reproduce.ABLATION_DATASETS": "Data sets of ``skdfal reproduce ablation``.",
    "skdfal.reproduce.PAPER_DATASETS": "Data sets of ``skdfal reproduce``, each with "
    "its name in the DFAL paper.",
    "skdfal.reproduce.PAPER_NETS": "Networks of ``skdfal reproduce``, each with its "
    "name in the DFAL paper.",
    "skdfal.reproduce.PAPER_METHODS": "Names of the seven methods of the paper's "
    "Table 1.",
    "skdfal.reproduce.TASK_AWARE_DATASETS": "Data sets of ``skdfal reproduce "
    "task-aware``, each with its usual name.",
    "skdfal.experiment.PAPER_STRATEGIES": "The seven methods of the paper's Table 1, "
    "and diverse DFAL, which the paper leaves open.",
    "skdfal.reproduce.SCALES": "Scales of ``skdfal reproduce``, by how much of the "
    "paper's experiment they run.",
}

HEAD = """\
.. This page is written from the public names at each build; do not edit it.

.. _api:

API reference
=============
"""


def public_names():
    """List (module, name, object) of all that is public, each name once."""
    package = importlib.import_module("skdfal")
    found = {}
    for module_name in MODULES:
        module = importlib.import_module(module_name)
        for name in module.__all__:
            obj = getattr(module, name)
            is_at_root = getattr(package, name, None) is obj
            home = "skdfal" if is_at_root else module_name
            found[HOMES.get(name, home), name] = obj
    return [(*key, obj) for key, obj in found.items()]


def section_of(module_name, obj):
    """Return the section in which a name of a module is listed."""
    defined_in = getattr(obj, "__module__", None) or module_name
    if module_name != "skdfal":
        defined_in = module_name
    for prefix, title in SECTIONS.items():
        if defined_in == prefix or defined_in.startswith(prefix + "."):
            return title
    raise LookupError(f"{obj!r} of {module_name} has no section.")


def _in_section(name):
    """Sort key of a name in its section."""
    place = FIRST.index(name) if name in FIRST else len(FIRST)
    return place, name.lower()


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
            own = sorted((n for m, n in names if m == module_name), key=_in_section)
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
