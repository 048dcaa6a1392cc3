"""One row a strategy: add a row, and it inherits every test of test_common.py."""

from dataclasses import dataclass, field

import skdfal


@dataclass(frozen=True)
class Case:
    """A strategy and what may be expected of it.

    Attributes
    ----------
    sampling, score : callable
        The public functions; a selection that is no top-k has no score.
    params : dict
        Cheap parameters.
    is_random : bool
        The answer depends on ``random_state`` beyond the candidates.
    needs_net : bool
        Refuses estimators without a torch net.
    is_nested : bool
        The first of many instances are those that fewer would be.
    """

    sampling: callable
    score: callable = None
    params: dict = field(default_factory=dict)
    is_random: bool = False
    needs_net: bool = True
    is_nested: bool = True

    def __str__(self):
        return self.sampling.__name__ + "".join(f"-{k}" for k in self.params)


CASES = [
    Case(skdfal.random_sampling, is_random=True, needs_net=False),
    Case(skdfal.entropy_sampling, skdfal.entropy_score, needs_net=False),
    Case(
        skdfal.least_confidence_sampling,
        skdfal.least_confidence_score,
        needs_net=False,
    ),
    Case(skdfal.margin_sampling, skdfal.margin_score, needs_net=False),
    Case(skdfal.deepfool_margin_sampling, skdfal.deepfool_margin_score),
    Case(skdfal.deepfool_margin_sampling, params={"prune": True}),
    Case(skdfal.bald_sampling, skdfal.bald_score, {"n_draws": 4}, is_random=True),
    Case(skdfal.ceal_sampling, needs_net=False),
    Case(skdfal.core_set_sampling, is_nested=False),
    Case(skdfal.core_set_sampling, params={"solver": "greedy"}),
    Case(skdfal.dfal_diverse_sampling, is_nested=False),
    Case(skdfal.egl_sampling, skdfal.egl_score),
    Case(skdfal.egl_sampling, skdfal.egl_score, {"layers": "last"}),
]
