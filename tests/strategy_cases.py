"""One case for each registered strategy, and for each of its variants below.

A new strategy is in every test of test_common.py as soon as it is registered.
"""

from dataclasses import dataclass, field

import skdfal
from skdfal.strategies import STRATEGIES, Strategy, describe
from tests.conftest import make_blobs_of_images

# What differs enough from the defaults to be tested beside them; cheap parameters.
CHEAP_LOOP = {"width": 0.02, "max_epochs": 1}
CHEAP_VAAL = CHEAP_LOOP | {"X_labeled": make_blobs_of_images(20, seed=1)[0]}
VARIANTS = {
    "bald": [{"n_draws": 4}],
    "core_set": [{}, {"solver": "greedy"}],
    "deepfool_margin": [{}, {"prune": False}],
    "egl": [{}, {"layers": "last"}],
    "mc_dropout": [{"n_draws": 4}],
    "ta_vaal": [CHEAP_VAAL],
    "vaal": [CHEAP_VAAL],
}
# The answer depends on random_state beyond the candidates.
RANDOM = {
    *("badge", "bald", "mc_dropout", "prob_cover", "random", "typi_clust"),
    *("ta_vaal", "vaal"),
}
SETS = {
    "core_set",
    "dfal_diverse",
    "typi_clust",
}  # the first of many are not those of a smaller query


def cheap_params(name):
    """Parameters of a strategy for a loop, which gives it labelled samples itself."""
    return CHEAP_LOOP if "vaal" in name else None


@dataclass(frozen=True)
class Case:
    """A strategy with parameters, and what may be expected of it.

    Attributes
    ----------
    strategy : Strategy
        As it is registered.
    params : dict
        Cheap parameters.
    """

    strategy: Strategy
    params: dict = field(default_factory=dict)

    @property
    def sampling(self):
        """The query function."""
        return self.strategy.function

    @property
    def score(self):
        """The score whose largest values it queries, or None."""
        return self.strategy.score

    @property
    def score_params(self):
        """Those of its parameters that the score takes as well."""
        return {k: v for k, v in self.params.items() if k != "prune"}

    @property
    def needs_net(self):
        """Whether it refuses estimators without a torch net."""
        return self.strategy.needs_net

    @property
    def needs_head(self):
        """Whether the net must have a loss-prediction head."""
        return self.strategy.needs == "loss prediction"

    @property
    def needs_gradients_of_x(self):
        """Whether it attacks the samples."""
        return self.strategy.needs == "gradients" and self.strategy.name != "egl"

    @property
    def needs_pictures(self):
        """Whether it learns from the samples as the net sees them."""
        return self.strategy.needs == "input"

    @property
    def is_random(self):
        """Whether ``random_state`` decides more than the candidates."""
        return self.strategy.name in RANDOM

    @property
    def is_nested(self):
        """Whether the first of many instances are those that fewer would be."""
        greedy = self.params.get("solver") == "greedy"
        return self.strategy.name not in SETS or greedy

    def __str__(self):
        names = [] if "X_labeled" in self.params else self.params
        return self.strategy.name + "".join(f"-{k}" for k in names)


def cases():
    """Return the cases of all strategies that are registered now."""
    seen, found = set(), []
    for name, function in STRATEGIES.items():
        if function not in seen and not name.startswith("_"):
            seen.add(function)
            found += [Case(describe(name), p) for p in VARIANTS.get(name, [{}])]
    return found


CASES = cases()
assert {case.sampling for case in CASES} >= {skdfal.dfal, skdfal.random_sampling}
