"""K-center covers of plain arrays: the search behind CORE-SET, without a net."""

from skdfal.cover._blocks import k_center_greedy_of_blocks
from skdfal.cover._k_center import (
    KCenterResult,
    cover_radius,
    k_center_greedy,
    k_center_mip,
)

__all__ = [
    "KCenterResult",
    "cover_radius",
    "k_center_greedy",
    "k_center_greedy_of_blocks",
    "k_center_mip",
]
