"""The kinds of pools: a length, and samples by index."""

from skdfal.pool._images import ImagePool
from skdfal.pool._pool import FilePool, Pool, PoolView, as_pool

__all__ = ["FilePool", "ImagePool", "Pool", "PoolView", "as_pool"]
