"""The kinds of pools, and the engines that process their blocks."""

from skdfal.pool._engine import InProcess, engine_for, map_blocks, on_cluster
from skdfal.pool._images import ImagePool
from skdfal.pool._pool import FilePool, InHand, Pool, PoolView, as_pool
from skdfal.pool._travel import travels_as

__all__ = [
    "FilePool",
    "ImagePool",
    "InHand",
    "InProcess",
    "Pool",
    "PoolView",
    "as_pool",
    "engine_for",
    "map_blocks",
    "on_cluster",
    "travels_as",
]
