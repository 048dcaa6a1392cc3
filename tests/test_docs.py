"""The documentation: its code runs, its links lead somewhere, it leaves nothing out."""

import builtins
import csv
import importlib.util
import pkgutil
import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path
from urllib.parse import urlsplit

import numpy as np
import pytest

import skdfal
from skdfal.strategies import STRATEGIES, describe, register, unregister

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"

pytestmark = pytest.mark.skipif(
    not DOCS.is_dir(), reason="docs/ is not there: these tests need a checkout"
)


def pages():
    built = {"_build", "api", "auto_examples", "results", "teaching"}
    return sorted(
        path
        for suffix in ("*.rst", "*.md")
        for path in DOCS.rglob(suffix)
        if not built & set(path.relative_to(DOCS).parts)
        and "_templates" not in path.parts
        and path.name != "sg_execution_times.rst"
    )


def page_id(path):
    return path.relative_to(DOCS).as_posix()


def code_blocks(path):
    """List (name, code) of the Python blocks of a page, in order."""
    lines = path.read_text(encoding="utf-8").splitlines()
    blocks, i = [], 0
    while i < len(lines):
        found = re.match(r"( *)\.\. code-block:: python$", lines[i])
        fence = lines[i] == "```python"
        i += 1
        if fence:
            end = lines.index("```", i)
            blocks.append((None, "\n".join(lines[i:end]) + "\n"))
        if not found:
            continue
        indent, name, body = len(found[1]) + 3, None, []
        while i < len(lines) and (not lines[i] or lines[i].startswith(" " * indent)):
            option = re.match(r" +:name: (\S+)", lines[i])
            if option and not body:
                name = option[1]
            elif lines[i] or body:
                body.append(lines[i][indent:])
            i += 1
        blocks.append((name, "\n".join(body).rstrip() + "\n"))
    return blocks


def run(code, namespace, where):
    exec(compile(code, where, "exec"), namespace)


@pytest.fixture
def small_cifar10(monkeypatch):
    """Few images of few pixels' worth in place of a download."""
    from sklearn.utils import Bunch

    from skdfal import datasets

    rng = np.random.default_rng(0)
    X = rng.random((100, 3, 32, 32), dtype=np.float32)
    y = np.arange(100) % 10
    cifar = Bunch(X_train=X[:80], y_train=y[:80], X_test=X[80:], y_test=y[80:])
    monkeypatch.setattr(datasets, "fetch_cifar10", lambda: cifar)


# What a page does in earnest, and what a test can afford.
SHORTER = {
    "how_to/cifar10_resnet.rst": {
        "max_epochs=60": "max_epochs=1",
        "range(2)": "range(1)",
        "n_instances=20": "n_instances=4",
        "n_candidates=800": "n_candidates=20",
        "n_initial=100": "n_initial=20, n_candidates=20",
        "len(X), 100,": "len(X), 20,",
        "max_annotations=140": "max_annotations=24",
    },
    "how_to/grid_search.rst": {
        "max_epochs=15": "max_epochs=2",
        "n_jobs=2)": "n_jobs=1)",  # starting processes takes seconds
    },
    "how_to/large_pool.rst": {
        "max_epochs=10": "max_epochs=2",
        "max_annotations=30": "max_annotations=20",
    },
    "how_to/pretrained_features.rst": {
        "max_epochs=10": "max_epochs=2",
        "max_epochs=50": "max_epochs=5",
    },
    "index.rst": {"max_annotations=60": "max_annotations=20"},
}


PAGES = pages()
PAGES_WITH_CODE = [path for path in PAGES if code_blocks(path)]


@pytest.mark.parametrize(
    "page",
    [
        # Worker processes take their time to start.
        pytest.param(
            page, marks=[pytest.mark.slow] * (page.stem in ("compare", "cluster"))
        )
        for page in PAGES_WITH_CODE
    ],
    ids=map(page_id, PAGES_WITH_CODE),
)
def test_code_of_the_page_runs(
    page, tmp_path, monkeypatch, no_new_strategies, small_cifar10
):
    # All blocks of a page, in order, in one program, in an empty folder.
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    answers = iter(range(1000))  # whoever labels by hand says 0, 1, 2, ...
    monkeypatch.setattr(builtins, "input", lambda _: str(next(answers) % 10))
    text = page.read_text(encoding="utf-8")
    if "matplotlib" in text:
        pytest.importorskip("matplotlib").use("Agg")
    for name in re.findall(r"^   import (h5py|zarr)$", text, re.M):
        pytest.importorskip(name, reason='pip install "skdfal[pools]"')
    if "from distributed import" in text:
        pytest.importorskip("distributed", reason='pip install "skdfal[dask]"')
    namespace = {"__name__": "__main__"}
    blocks = code_blocks(page)
    blocks.sort(key=lambda block: block[0] != "newcomer-data")  # data first
    for n, (_, code) in enumerate(blocks):
        if page.name == "getting_started.rst" and "ActiveLearner(" not in code:
            continue  # has a test of its own
        for long, short in SHORTER.get(page_id(page), {}).items():
            code = code.replace(long, short)
        run(code, namespace, f"{page_id(page)}[{n}]")
    assert all(long in text for long in SHORTER.get(page_id(page), {}))


@pytest.fixture
def no_new_strategies():
    """Forget what a page has registered."""
    known = set(STRATEGIES)
    yield
    for name in set(STRATEGIES) - known:
        unregister(name)


def test_newcomer_trains_on_the_first_try(tmp_path, monkeypatch, capsys):
    # From the page alone: own CNN, own images, under twenty lines.
    named = dict(code_blocks(DOCS / "getting_started.rst"))
    lines = [line for line in named["newcomer"].splitlines() if line.strip()]
    assert len(lines) < 20

    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    run(named["newcomer-data"], namespace, "newcomer-data")
    assert np.load("images.npy").ndim == 4
    run(named["newcomer"], namespace, "newcomer")
    run(named["newcomer-after"], namespace, "newcomer-after")

    learner, digits = namespace["learner"], namespace["digits"]
    assert type(learner.estimator_.module_) is namespace["SmallCNN"]
    # The page says: 60 labels bought, 50 of them with a twin.
    assert len(learner.annotated_indices_) == 60
    assert 100 < len(learner.X_train_) <= 110
    # It has learned: guessing has 10 %.
    assert learner.score(digits.X_test, digits.y_test) > 0.6
    assert "round" in capsys.readouterr().out


def test_newcomer_without_labels_is_asked(tmp_path, monkeypatch):
    # The same network and images, and a person who answers.
    named = dict(code_blocks(DOCS / "getting_started.rst"))
    monkeypatch.chdir(tmp_path)
    namespace = {"__name__": "__main__"}
    run(named["newcomer-data"], namespace, "newcomer-data")
    y = iter(np.load("labels.npy"))
    answer = {}
    monkeypatch.setattr(builtins, "input", lambda text: answer[text])
    run(network_of(named["newcomer"]), namespace, "newcomer")
    answer |= {f"image {i}: ": str(label) for i, label in enumerate(y)}
    run(named["newcomer-session"], namespace, "newcomer-session")
    session = namespace["session"]
    assert len(session.labels_) == 50
    assert len(session.history_) == 5
    assert len(session.X_train_) > 60
    right = [answer[f"image {i}: "] == str(y) for i, y in session.labels_.items()]
    assert all(right)


@pytest.mark.slow
def test_code_of_the_readme_runs(capsys):
    # What needs no files: with modAL and with scikit-learn; sixty labels teach a net.
    blocks = [code for _, code in code_blocks(ROOT / "README.md")]
    blocks = [code for code in blocks if "load_digits()" in code]
    assert len(blocks) == 2
    for n, code in enumerate(blocks):
        run(code, {"__name__": "__main__"}, f"README.md[{n}]")
    accuracies = re.findall(
        r"accuracy with 60 labels: (0\.\d+)", capsys.readouterr().out
    )
    modal, ours = map(float, accuracies)
    assert min(modal, ours) > 0.75
    # The same net and method by either door; over seeds they differ by 0.03 (std).
    assert abs(modal - ours) < 0.1


def network_of(code):
    """Return the lines of the newcomer up to the network: without labels, no fit."""
    return code.partition("learner = ")[0]


def test_readme_has_the_lines_of_the_page():
    named = dict(code_blocks(DOCS / "getting_started.rst"))
    readme = [code for _, code in code_blocks(ROOT / "README.md")]
    assert named["newcomer"] in readme
    assert named["newcomer-session"] in readme
    lines = [line for line in named["newcomer-session"].splitlines() if line.strip()]
    assert len(lines) <= 9


def published_scores(table):
    """Return the scores of all trials, by strategy and number of labels."""
    scores = defaultdict(list)
    with (DOCS / "results" / table).open() as lines:
        for row in csv.DictReader(lines):
            key = row["strategy"], int(row["annotations"])
            scores[key].append(float(row["score"]))
    return scores


def words_of(path):
    return " ".join(path.read_text(encoding="utf-8").split())


def test_readme_claims_what_the_published_rows_say():
    scores = published_scores("mnist-lenet5/rounds.csv")
    percent = {key: round(100 * np.mean(found), 1) for key, found in scores.items()}
    readme = words_of(ROOT / "README.md")
    assert (
        f"LeNet5 reaches {percent['dfal', 300]} % accuracy with 300 labels chosen by "
        f"DFAL, and {percent['random', 1000]} % with 1,000 labels chosen at random "
        "(means of five trials)"
    ) in readme
    assert len(scores["dfal", 300]) == len(scores["random", 1000]) == 5
    reached = [
        n for (name, n), found in scores.items()
        if name == "dfal" and np.mean(found) >= np.mean(scores["random", 1000])
    ]  # fmt: skip
    assert min(reached) == 300


def test_results_claim_of_vgg8_what_the_published_rows_say():
    scores = published_scores("mnist-vgg8/rounds.csv")
    assert {len(found) for found in scores.values()} == {5}
    percent = {key: 100 * np.mean(found) for key, found in scores.items()}
    others = {name for name, _ in scores} - {"dfal", "random+copies"}
    counts = sorted({n for _, n in scores})

    def leads_of_copies(first, last):
        return [
            percent["random+copies", n] - percent["dfal", n]
            for n in counts if first <= n <= last
        ]  # fmt: skip

    page = words_of(DOCS / "results.md")
    early, late = leads_of_copies(30, 60), leads_of_copies(160, 300)
    between = max(map(abs, leads_of_copies(70, 140)))
    assert (
        f"is {min(early):.0f} to {max(early):.0f} points ahead of DFAL from 30 to 60 "
        f"labels. Up to 140 labels the two stay within {between:.1f} points, and from "
        f"160 on it is {-max(late):.1f} to {-min(late):.1f} behind"
    ) in page
    behind = [
        (n, name) for n in counts[1:] for name in others
        if percent[name, n] > percent["dfal", n]
    ]  # fmt: skip
    assert behind == [(140, "ceal")]
    assert (
        "in every round from 20 labels on, except at 140 labels, where CEAL has "
        f"{percent['ceal', 140]:.1f} % and DFAL {percent['dfal', 140]:.1f} %. At 300 "
        f"labels it has {percent['dfal', 300]:.1f} %"
    ) in page
    areas = (DOCS / "results" / "mnist-vgg8" / "areas.md").read_text(encoding="utf-8")
    lead = re.search(r"^\| RANDOM +\|[^|]+\| +\+([^|]+\)) \|", areas, re.M)[1]
    assert f"With VGG8 on MNIST DFAL leads RANDOM by {lead}" in page


def test_results_claim_of_the_papers_training_what_the_published_rows_say():
    scores = published_scores("mnist-lenet5-paper/rounds.csv")
    percent = {
        key: 100 * np.mean(found) for key, found in scores.items() if len(found) == 5
    }
    counts = sorted({n for name, n in percent if name == "dfal"})
    best = {n: max((percent[s, m], s) for s, m in percent if m == n)[1] for n in counts}
    assert {best[n] for n in counts if n >= 120} == {"dfal"}
    assert best[110] != "dfal"
    page = words_of(DOCS / "results_paper_training.md")
    assert "From 120 labels on its mean accuracy is the highest of all methods" in page
    found = published_scores("paper_variants/other_choice.csv")["egl", 500]
    assert (len(found), max(counts)) == (5, 1000)
    text = f"{100 * np.mean(found):.1f} ± {100 * np.std(found, ddof=1):.1f} %"
    assert f"nine at 500 ({text}, paper 73.9)" in page
    assert round(percent["egl", 500] - 100 * np.mean(found)) == 9
    one = published_scores("paper_variants/one_layer.csv")["ceal", 100]
    two = published_scores("paper_variants/two_layers.csv")["ceal", 100]
    two = [*scores["ceal", 100], *two]
    assert len(one) == len(two) == 20
    means = f"{100 * np.mean(one):.1f} % with that single layer (paper 71.8), and "
    assert f"{means}{100 * np.mean(two):.1f} with two" in page
    ones = published_scores("paper_variants/one_layer.csv")["random", 100]
    twos = published_scores("paper_variants/two_layers.csv")["random", 100]
    twos = [*scores["random", 100], *twos]

    def distance(found, mean):  # from the mean of five such trials, in standard errors
        error = np.std(found, ddof=1) * np.sqrt(1 / len(found) + 1 / 5)
        return abs(np.mean(found) - mean) / error

    assert (
        f"this difference is {distance(twos, 0.7756):.1f} standard errors "
        f"({distance(ones, 0.7756):.1f} with one layer), and that of CEAL with two "
        f"layers {distance(two, 0.7181):.1f}"
    ) in page
    of_one = published_scores("paper_variants/one_layer.csv")
    theirs = {100: 71.81, 500: 94.81, 800: 96.77, 1000: 97.33}
    ours = {n: 100 * np.mean(of_one["ceal", n]) for n in theirs}
    assert [len(of_one["ceal", n]) for n in theirs] == [20, 5, 5, 5]
    farthest = max(abs(ours[n] - theirs[n]) for n in theirs)
    assert (
        f"within {farthest:.1f} points of the paper at all four counts: "
        f"{ours[500]:.1f} % at 500 labels (paper 94.8), {ours[800]:.1f} at 800 (96.8) "
        f"and {ours[1000]:.1f} at 1,000 (97.3), in five trials"
    ) in page


def test_results_claim_of_early_stopping_what_the_published_tables_say():
    effects = (DOCS / "results" / "effects.md").read_text(encoding="utf-8")

    def cells(comparison):
        line = re.search(rf"^\| {comparison}; early stopping.*$", effects, re.M)[0]
        return [cell.strip("* ") for cell in line.split("|")[2:5]]

    steps, leads = cells("steps: copies, not nothing"), cells("DFAL, not RANDOM.*")
    page = words_of(DOCS / "results_ablation.md")
    mnist, fashion, drawings = (cell.removeprefix("+") for cell in steps)
    assert (
        f"copies add {mnist} points to RANDOM on MNIST, {fashion} on Fashion-MNIST and "
        f"{drawings} on Quick-Draw, and DFAL is level with RANDOM with copies on all "
        f"three ({leads[0]}, {leads[1]} and {leads[2]})"
    ) in page


def test_results_claim_of_cifar10_what_the_published_rows_say(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from make_results import ablation_records

    from skdfal.analysis import area_under_curve

    (records,) = ablation_records("cifar10-ablation").values()
    areas = [row["area_mean"] for row in area_under_curve(records).summary]
    scores = {}
    for row in records:
        if row["annotations"] == 150:
            scores.setdefault(row["strategy"], []).append(100 * row["score"])
    at = [np.mean(found) for found in scores.values()]
    page = words_of(DOCS / "results_ablation.md")
    assert f"has {min(at):.0f} to {max(at):.0f} %" in page
    assert f"within {100 * (max(areas) - min(areas)):.1f} points" in page


def test_readme_claims_of_dfal_plus_what_the_intervals_say(monkeypatch):
    monkeypatch.syspath_prepend(str(DOCS))
    from make_results import leads_of_dfal_plus

    leads = leads_of_dfal_plus()
    others = ("dfal+twins", "margin+twins", "badge+copies", "random+copies")
    ahead = [sum(found[name].low > 0 for found in leads.values()) for name in others]
    assert (len(leads), ahead) == (4, [3, 4, 4, 4])
    assert all(lead.n_trials == 15 for of in leads.values() for lead in of.values())
    readme = words_of(ROOT / "README.md")
    assert (
        "higher than that of softmax margin, BADGE and random choice on all four "
        "data sets we tried, and higher than DFAL's on three (fifteen trials, equal "
        "training)"
    ) in readme


def test_readme_links_lead_somewhere():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\(([^)\s]+)\)", readme):
        assert target.startswith("https://") or (ROOT / target).is_file(), target
    # The address of the project stands in pyproject.toml; README's are the same.
    pyproject = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    for kind in ("Repository", "Documentation", "Issues"):
        address = re.search(rf'^{kind} = "(.+)"$', pyproject, re.M)[1]
        assert f"({address})" in readme


# The API page


def load_extension(name):
    """Return a module of ``docs/_ext``."""
    spec = importlib.util.spec_from_file_location(name, DOCS / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def listed_names():
    """Return the names on the API page, with their modules."""
    module, found = None, []
    in_table = False
    for line in load_extension("api_page").api_page().splitlines():
        if line.startswith(".. currentmodule::"):
            module = line.split()[-1]
        elif line.startswith(".. autosummary::"):
            in_table = True
        elif data := re.match(r"\.\. py:data:: (\S+)", line):
            pending, in_table = data[1], False
        elif owner := re.match(r" +:module: (\S+)", line):
            found.append(f"{owner[1]}.{pending}")
        elif in_table and re.match(r"   [A-Za-z_]", line):
            found.append(f"{module}.{line.strip()}")
        elif line and not line.startswith(" "):
            in_table = False
    return found


def test_api_page_lists_every_public_name_once():
    public = {
        (name, id(getattr(module, name)))
        for module in public_modules()
        for name in module.__all__
    }
    listed = listed_names()
    modules = [path.rpartition(".") for path in listed]
    objects = [
        (name, id(getattr(sys.modules[module], name))) for module, _, name in modules
    ]
    assert set(objects) == public
    assert len(objects) == len(public)


def public_modules():
    """List the package and all its rooms but those for other rooms alone."""
    api_page = load_extension("api_page")
    names = [
        f"skdfal.{module.name}" for module in pkgutil.iter_modules(skdfal.__path__)
    ]
    modules = [importlib.import_module(n) for n in ["skdfal", *names] if n[7:8] != "_"]
    return [
        module
        for module in modules
        if hasattr(module, "__all__") and module.__name__ not in api_page.INTERNAL
    ]


# The strategies


def test_table_of_the_strategies_follows_the_registry():
    table = load_extension("strategies_table")
    rows = table.rows()
    assert len(rows) == len(STRATEGIES)
    for row, name in zip(rows, STRATEGIES, strict=True):
        strategy = describe(name)
        page = re.match(rf":doc:`{name} <(\w+)>`$", row[0])
        assert page, f"{name} has no page below docs/strategies"
        assert table.page_is_there(page[1])
        assert row[1][0].islower()
        assert row[4] == str(strategy.n_candidates or "all")
    with_net = {row[0] for row in rows if "net" in row[2]}
    assert len(with_net) == sum(describe(name).needs_net for name in STRATEGIES)


def test_strategies_that_are_added_are_in_the_table():
    register("nearest_to_zero", n_candidates=7, paper="Nobody 2026")(nearest_to_zero)
    try:
        (row,) = load_extension("strategies_table").rows()[-1:]
    finally:
        unregister("nearest_to_zero")
    assert row == ["nearest_to_zero", *["samples near 0", "nothing", ""], "7", row[5]]
    assert row[5] == "Nobody 2026"


def nearest_to_zero(estimator, X, n_instances=1):
    """Query samples near 0."""


def test_readme_names_every_strategy_with_its_function():
    readme = (ROOT / "README.md").read_text(encoding="utf-8")
    table = readme.partition("## Strategies")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:-1] for line in table.splitlines() if "| `" in line]
    named = {}
    for names, functions, *_, paper in rows:
        functions = re.findall(r"`(\w+)`", functions)
        for name in re.findall(r"`(\w+)`", names):
            assert describe(name).function.__name__ in functions
            assert (describe(name).paper or paper.strip()) == paper.strip()
            named[name] = functions
    assert list(named) == list(STRATEGIES)


# Messages


def test_messages_that_are_explained_are_those_of_the_code():
    said = load_extension("messages").messages().values()
    said = [message for entries in said for _, message in entries]
    page = (DOCS / "troubleshooting.rst").read_text(encoding="utf-8")
    explained = re.findall(r"^\.\. message:: (.+)$", page, re.M)
    assert len(explained) > 40
    assert [message for message in explained if message not in said] == []


# Links


def documents():
    return {page_id(path).rsplit(".", 1)[0] for path in PAGES} | {
        "api/index",
        "auto_examples/index",
        "teaching/teaching_active_learning_in_one_hour",
    }


def labels():
    text = "".join(p.read_text(encoding="utf-8") for p in PAGES)
    marks = re.findall(r"^\.\. _([\w-]+):$|^\(([\w-]+)\)=$", text, re.M)
    return {label for mark in marks for label in mark if label} | {"api"}


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_internal_links_lead_somewhere(page):
    text = page.read_text(encoding="utf-8")
    folder = Path(page_id(page)).parent
    known = documents()

    def resolve(target):
        if target.startswith("/"):
            return target.lstrip("/")
        parts = []
        for part in (folder / target).parts:
            if part == "..":
                parts.pop()
            else:
                parts.append(part)
        return "/".join(parts)

    roles = re.findall(r"(?::doc:|\{doc\})`(?:[^`<]*<)?([^`<>]+)>?`", text)
    entries = []
    for toctree in re.findall(r"\.\. toctree::\n((?:(?:   .*)?\n)+)", text):
        entries += re.findall(r"^   ([\w/]+)$", toctree, re.M)
    links = re.findall(r":link: (\S+)\n\s+:link-type: doc", text)
    for target in roles + entries + links:
        assert resolve(target) in known, f"{target} is no page"

    for target in re.findall(r":ref:`(?:[^`<]*<)?([^`<>]+)>?`", text):
        assert target in labels(), f"{target} is no label"

    for image in re.findall(r"\.\. (?:figure|image):: (\S+)", text):
        assert (page.parent / image).is_file(), f"{image} is missing"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_references_to_code_exist(page):
    text = page.read_text(encoding="utf-8")
    borrowed = {
        line.split()[0]
        for inventory in (DOCS / "_inventories").glob("*.inv")
        for line in inventory.read_text().splitlines()[3:]
    }
    for name in re.findall(r":(?:class|func|meth|mod|attr):`~?([^`]+)`", text):
        if name.startswith("skdfal"):
            pkgutil.resolve_name(name)
        elif hasattr(skdfal, name):
            continue
        else:
            assert name in borrowed, f"{name} is in no file of docs/_inventories"


@pytest.mark.parametrize("page", PAGES, ids=page_id)
def test_external_links_are_well_formed(page):
    text = page.read_text(encoding="utf-8")
    for url in re.findall(r"https?://[^\s>`)\"}]+", text):
        parts = urlsplit(url)
        assert parts.scheme == "https", f"{url}: use https"
        assert re.fullmatch(r"[\w.-]+\.[a-z]{2,}", parts.netloc), url


COUNTED = "row|line|number|label|output|passes|pass|epoch|step|entry|panel|curve|file"
COUNTS = "round|class|sample|trial|core|epoch|step|strategy|candidate|batch|query"


@pytest.mark.parametrize(
    "folder", ["skdfal", "docs", "examples"], ids=lambda folder: folder
)
def test_prose_says_one_row_per_round(folder):
    """And not "a row a round", which some readers take for two things."""
    pages = PAGES if folder == "docs" else (ROOT / folder).rglob("*.py")
    for page in pages:
        text = " ".join(page.read_text(encoding="utf-8").split())
        found = re.findall(rf"\b(?:{COUNTED})s? an? (?:{COUNTS})\b", text)
        found = [phrase for phrase in found if not phrase.startswith("labels a strat")]
        assert not found, f"{page}: {found}"


def test_every_page_is_in_a_toctree():
    text = "".join(p.read_text(encoding="utf-8") for p in PAGES)
    for page in documents() - {"index"}:
        name = page.split("/")[-1]
        in_tree = re.search(rf"^(?:   )?(?:[\w/]+/)?{name}(?:/index)?$", text, re.M)
        is_index = name == "index" and re.search(rf"^   {page}$", text, re.M)
        assert in_tree or is_index, f"{page} is in no toctree"


def test_citation_file():
    yaml = pytest.importorskip("yaml")
    cff = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    assert cff["cff-version"] == "1.2.0"
    assert {"message", "title", "authors", "version", "license"} <= set(cff)
    changelog = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert re.search(rf"^## {re.escape(cff['version'])}\b", changelog, re.M)
    for reference in (cff["preferred-citation"], *cff["references"]):
        assert {"type", "title", "authors"} <= set(reference)


@pytest.mark.slow
def test_build_without_warnings(tmp_path):
    for package in ("sphinx", "numpydoc", "sphinx_gallery", "myst_nb"):
        pytest.importorskip(package, reason=f'{package}: pip install "skdfal[docs]"')
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q"]
    command += ["-D", "plot_gallery=0", "-b", "html", "-d", tmp_path / "doctrees"]
    done = subprocess.run(
        [*command, DOCS, tmp_path / "html"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "html" / "index.html").is_file()


def test_published_tables_follow_from_the_published_rows(monkeypatch):
    """Nobody has edited a number by hand."""
    monkeypatch.syspath_prepend(str(DOCS))
    from make_results import RESULTS, texts

    written = texts()
    assert len(written) > 20
    for name, text in written.items():
        assert (RESULTS / name).read_text(encoding="utf-8") == text, name


def test_results_of_a_run_stand_beside_those_published(monkeypatch, tmp_path):
    """Of one that still runs too, and when it has come to its end."""
    monkeypatch.syspath_prepend(str(DOCS))
    import make_results

    monkeypatch.setattr(make_results, "RESULTS", tmp_path / "results")
    published, folder = tmp_path / "results" / "x", tmp_path / "x-seed0"
    columns = make_results.COLUMNS

    def rows(strategy):
        values = ("digits", "lenet5", strategy, 0, 0, 10, 10, 0.5)
        return [dict(zip(columns, values, strict=True))]

    make_results.write_csv(published / "rounds.csv", rows("random"), columns)
    make_results.write_json(published / "run.json", {"trials": {"random-0": {}}})
    make_results.write_csv(folder / "trials" / "dfal-0.csv", rows("dfal"), columns)
    make_results.write_json(folder / "settings.json", {"n_threads": 1})
    make_results.gather(folder)
    found = make_results.read_records(published / "rounds.csv")
    assert [row["strategy"] for row in found] == ["dfal", "random"]
    make_results.write_csv(folder / "rounds.csv", rows("dfal"), columns)
    make_results.write_json(folder / "run.json", {"trials": {"dfal-0": {}}})
    make_results.gather(folder)
    assert make_results.read_records(published / "rounds.csv") == found
    run = make_results.json.loads((published / "run.json").read_text())
    assert run["trials"] == {"dfal-0": {}, "random-0": {}}


def test_results_page_shows_all_that_is_published():
    pages = (path.read_text(encoding="utf-8") for path in DOCS.glob("results*.md"))
    page = "\n".join(pages)
    shown = set(re.findall(r"results/[\w./-]+\.(?:md|png)", page))
    there = {
        path.relative_to(DOCS).as_posix() for path in (DOCS / "results").rglob("*")
    }
    assert shown <= there
    assert {name for name in there if name.endswith(".md")} <= shown
