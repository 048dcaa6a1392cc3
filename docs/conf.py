"""Configuration of the documentation; see contributing.md for how to build it."""

import importlib.util
import os
import shutil
import sys
from pathlib import Path

# Before torch is loaded, here and by the notebook: nets this small gain nothing from
# several threads, and lose much where the machine has other work.
os.environ.setdefault("OMP_NUM_THREADS", "1")

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS / "_ext"))

from api_page import write_api_page  # noqa: E402
from rooms import write_drawing  # noqa: E402

from skdfal import __version__  # noqa: E402

with (DOCS.parent / "pyproject.toml").open("rb") as file:
    urls = tomllib.load(file)["project"]["urls"]

project = "skdfal"
author = "The skdfal developers"
copyright = author
version = release = __version__.partition("+")[0]  # without the commit

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.autosummary",
    "sphinx.ext.intersphinx",
    "sphinx.ext.mathjax",
    "myst_nb",
    "numpydoc",
    "sphinx_copybutton",
    "sphinx_design",
    "sphinx_gallery.gen_gallery",
    "alt_texts",
    "api_page",
    "messages",
    "strategies_table",
]
if importlib.util.find_spec("sphinx-mathjax-offline"):
    extensions.append("sphinx-mathjax-offline")  # formulas without a network
exclude_patterns = [
    "_build",
    "auto_examples/*.ipynb",
    "_inventories",
    "*.inc",
    "results/*",  # what commands wrote, and results.md includes
]
templates_path = ["_templates"]
default_role = "literal"

# The API page is written from the public names, so that it cannot leave one out.
write_api_page(DOCS / "api" / "index.rst")
# The picture of the rooms is drawn from their imports.
write_drawing(DOCS / "images" / "rooms.svg")
autosummary_generate = True
autodoc_typehints = "none"  # the docstrings have them
numpydoc_show_class_members = False
toc_object_entries_show_parents = "hide"

# Each project has a small inventory of our own beside its published one, so that the
# build neither warns nor loses a link where there is no network.
intersphinx_mapping = {
    name: (url, (None, str(DOCS / "_inventories" / f"{name}.inv")))
    for name, url in {
        "modAL": "https://modal-python.readthedocs.io/en/latest/",
        "numpy": "https://numpy.org/doc/stable/",
        "python": "https://docs.python.org/3/",
        "sklearn": "https://scikit-learn.org/stable/",
        "skorch": "https://skorch.readthedocs.io/en/stable/",
        "torch": "https://docs.pytorch.org/docs/stable/",
    }.items()
}
intersphinx_timeout = 5  # seconds; without a network our own inventories serve


sphinx_gallery_conf = {
    "examples_dirs": str(DOCS.parent / "examples"),
    "gallery_dirs": "auto_examples",
    "filename_pattern": r"plot_",
    "ignore_pattern": r"teaching_",
    "within_subsection_order": "FileNameSortKey",
    "backreferences_dir": "api/backreferences",
    "doc_module": ("skdfal",),
    "reference_url": {"skdfal": None},
    "remove_config_comments": True,
    "show_memory": False,
    "matplotlib_animations": False,
    "abort_on_example_error": False,
    "write_computation_times": False,  # that page asks other hosts for its script
}
plot_gallery = "True"  # -D plot_gallery=0 builds the pages without running them
# The notebook for a class is one of the examples; it is run where they are.
(DOCS / "teaching").mkdir(exist_ok=True)
for notebook in (DOCS.parent / "examples").glob("*.ipynb"):
    copy = DOCS / "teaching" / notebook.name
    if not copy.exists() or copy.read_bytes() != notebook.read_bytes():
        shutil.copyfile(notebook, copy)
myst_enable_extensions = ["dollarmath"]
nb_execution_mode = "cache"
nb_execution_timeout = 600  # seconds per cell
nb_execution_raise_on_error = True


def follow_the_gallery(app, config):
    """Leave the notebook as it is where the gallery is not run."""
    if str(config.plot_gallery).lower() in ("0", "false"):
        config.nb_execution_mode = "off"


def setup(app):
    """Connect to Sphinx."""
    app.connect("config-inited", follow_the_gallery, priority=1)


html_theme = "pydata_sphinx_theme"
html_title = f"skdfal {release}"
html_static_path = ["_static"]
html_css_files = ["skdfal.css"]
html_show_sourcelink = False
html_context = {"repository": urls["Repository"], "default_mode": "auto"}
html_favicon = "_static/favicon.svg"
# Pages without others below them have no use for the navigation on the left.
html_sidebars = {
    page: []
    for page in (
        "changes",
        "citing",
        "comparison",
        "contributing",
        "getting_started",
        "index",
        "installation",
        "measured",
        "results",
    )
}
html_theme_options = {
    "show_prev_next": True,
    "navigation_with_keys": False,
    "show_toc_level": 2,
    "header_links_before_dropdown": 5,
    "navbar_align": "left",
    "secondary_sidebar_items": {
        "**": ["page-toc", "page-links"],
        "comparison": [],
        "index": [],
    },
    "icon_links": [
        {"name": name, "url": urls[name], "icon": icon}
        for name, icon in (
            ("Repository", "fa-brands fa-github"),
            ("Issues", "fa-solid fa-bug"),
        )
    ],
    "footer_start": ["copyright"],
    "footer_end": ["sphinx-version"],
    "search_bar_text": "Search",
}
# Where several versions are published, a menu of them, from the file of that address.
if versions := os.environ.get("SKDFAL_DOCS_VERSIONS"):
    html_theme_options["switcher"] = {"json_url": versions, "version_match": version}
    html_theme_options["check_switcher"] = False
    html_theme_options["navbar_end"] = [
        "version-switcher",
        "theme-switcher",
        "navbar-icon-links",
    ]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
