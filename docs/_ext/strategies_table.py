"""The table of the query strategies, from what each has registered."""

import re
from pathlib import Path

from skdfal.strategies import STRATEGIES, describe

PAGES = Path(__file__).parents[1] / "strategies"

NEEDS = {
    "nothing": "nothing",
    "probabilities": "`predict_proba`",
    "dropout": "net with dropout",
    "features": "torch net",
    "gradients": "torch net",
    "input": "torch net",
    "loss prediction": "net with a loss-prediction head",
}


def asks_for(strategy):
    """Return what a strategy queries, in the words of its docstrings."""
    by_score = strategy.score is not None
    text = (strategy.score if by_score else strategy.function).__doc__
    summary = " ".join(text.strip().partition("\n\n")[0].split())
    summary = re.sub(r"(,? *\[\d+\]_)+", "", summary).rstrip(".")
    return re.sub(r"^(Score samples by|Query(?: the)?|Draw) ", "", summary)


def page_of(strategy):
    """Return the name of the page about a strategy, shared by those of one file."""
    module = strategy.function.__module__
    family = [n for n, f in STRATEGIES.items() if f.__module__ == module]
    pages = [name for name in [strategy.name, *family] if page_is_there(name)]
    return pages[0] if pages else None


def page_is_there(name):
    """Return whether there is a page of that name below ``docs/strategies``."""
    return (PAGES / f"{name}.rst").is_file()


def rows():
    """List the cells of each registered strategy, in the order of all tables."""
    found = []
    for name in STRATEGIES:
        strategy = describe(name)
        page = page_of(strategy)
        augmenter = strategy.augmenter
        found.append(
            [
                f":doc:`{name} <{page}>`" if page else name,
                asks_for(strategy),
                NEEDS[strategy.needs],
                f":class:`~skdfal.{augmenter.__name__}`" if augmenter else "",
                f"{strategy.n_candidates or 'all'}",
                strategy.paper or "",
            ]
        )
    return found


def strategies_table():
    """Return the table as reStructuredText."""
    head = ["name", "ranks samples by, or queries", "needs", "adds", "K"]
    lines = [".. list-table::", "   :header-rows: 1", "   :class: strategies", ""]
    for cells in [[*head, "from"], *rows()]:
        marks = ["   * -", *["     -"] * (len(cells) - 1)]
        lines += [f"{m} {c}".rstrip() for m, c in zip(marks, cells, strict=True)]
    return "\n".join([*lines, ""])


def setup(app):
    """Add the directive ``strategies-table``."""
    from sphinx.util.docutils import SphinxDirective

    class StrategiesTable(SphinxDirective):
        def run(self):
            return self.parse_text_to_nodes(strategies_table())

    app.add_directive("strategies-table", StrategiesTable)
    return {"parallel_read_safe": True}
