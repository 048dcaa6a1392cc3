"""Find the smallest margins of a pool without attacking all of it."""

from contextlib import contextmanager, suppress
from functools import partial
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

import numpy as np

from skdfal.adapter import batches_a_block
from skdfal.adversarial import deepfool_within
from skdfal.pool import InHand, engine_for
from skdfal.strategies._base import best_of
from skdfal.strategies._margin_proxy import margin_proxy

# The search stops when the proxy predicts a margin that is too large, even if the
# margin-to-proxy ratio were this fraction of the smallest ratio seen so far.
_SAFETY = 0.7

# The search gives up if this many of the most promising samples, and all so far, never
# flip.
_N_HOPELESS = 128

# Maximum number of candidates per block; after each block the search may stop.
_BLOCK_SIZE = 128

# How many times more positions than a round needs are looked up in the order at once.
_LOOK_AHEAD = 8

# Bytes of proxies that stay in memory, and that are read from the file at once.
_PROXY_BYTES = 2**20

# Maximum bytes of samples that are kept from the proxy pass for the attacks.
_KEPT_BYTES = 2**25


class PrunedSearch(NamedTuple):
    """Result of the search and its cost."""

    indices: np.ndarray
    margin: np.ndarray
    n_attacked: int
    n_unconverged: int


def pruned_search(net, n_instances, attack):
    """Find the ``n_instances`` smallest margins, best proxy first.

    The search runs in rounds of several blocks. Within a round, samples are given up by
    the bound known at its beginning. Whether to stop is decided before each block;
    blocks that were already attacked are then discarded.

    Parameters
    ----------
    net : TorchNet
        Net prepared for the attack, with the samples as its pool.
    n_instances : int
        Number of margins.
    attack : dict
        Parameters of :func:`deepfool`, with a number for ``batch_size``.

    Returns
    -------
    found : PrunedSearch
        Positions, smallest margin first, and their margins.

    Raises
    ------
    OSError
        If the temporary file of the proxies cannot be written.
    """
    engine = engine_for(net.pool)
    block_size = min(attack["batch_size"], max(32, min(2 * n_instances, _BLOCK_SIZE)))
    with _temporary_file() as file:
        order, kept = _rank(net, n_instances, engine, file)
        search = _Search(order, n_instances)
        for n_blocks in _rounds():
            blocks = search.next_blocks(n_blocks, block_size)
            work = partial(_margins_within, search.worst, attack)
            parts = (kept.part(net.pool, block) for block in blocks)
            found = net.map_parts(work, parts, engine)
            for _ in blocks:
                if not search.is_over:
                    search.add(*next(found))
            if search.is_over:
                return search.result()


@contextmanager
def _temporary_file():
    """Open an unnamed file that stays in memory as long as it is small."""
    file = SpooledTemporaryFile(_PROXY_BYTES)
    try:
        yield file
    finally:
        with suppress(OSError):  # a full disk, which `append` has reported
            file.close()


def _rounds():
    """Yield the number of blocks per round: 1, 1, 2, 4, 8, ..., as many as so far."""
    n_blocks = 1
    yield n_blocks
    while True:
        yield n_blocks
        n_blocks *= 2


def _margins_within(worst, attack, net):
    """Margins of a block, infinite beyond ``worst``; number that never converged."""
    x = net.batch(np.arange(len(net)))
    result, too_far = deepfool_within(net.module, x, worst, **attack)
    n_unconverged = int((~result.converged & ~too_far).sum())
    return result.norm.cpu().double().numpy(), n_unconverged


class _Search:
    """State of the search: the margins so far, and what to attack next."""

    def __init__(self, order, n_instances):
        self.order, self.n_instances = order, n_instances
        self.margin = np.empty(0)  # of the first samples in the order
        self.n_unconverged = 0
        self.worst = self.smallest_ratio = np.inf

    def next_blocks(self, n_blocks, size):
        """Return the positions of the samples in each of the next blocks."""
        start = len(self.margin)
        stop = min(start + n_blocks * size, len(self.order))
        self.order.look_up(stop + 1)
        position = self.order.position[:stop]
        return [position[i : i + size] for i in range(start, stop, size)]

    @property
    def is_over(self):
        n = len(self.margin)
        if n == len(self.order) or self.is_hopeless:
            return True
        if self.worst == np.inf:
            return False
        next_proxy = self.order.proxy[n]
        return bool(_SAFETY * self.smallest_ratio * next_proxy > self.worst)

    @property
    def is_hopeless(self):
        """Whether no class changed among the samples most likely to change."""
        enough = max(self.n_instances, _N_HOPELESS)
        return len(self.margin) == self.n_unconverged >= enough

    def add(self, margin, n_unconverged):
        """Record the margins of the next block."""
        proxy = self.order.proxy[len(self.margin) :][: len(margin)]
        self.margin = np.concatenate([self.margin, margin])
        self.n_unconverged += n_unconverged
        found = np.isfinite(margin) & (proxy > 0)
        ratio = (margin[found] / proxy[found]).min(initial=np.inf)
        self.smallest_ratio = min(self.smallest_ratio, ratio)
        if len(self.margin) >= self.n_instances:
            last = self.n_instances - 1
            self.worst = np.partition(self.margin, last)[last]

    def result(self):
        attacked = self.order.position[: len(self.margin)]
        nearest = np.lexsort([attacked, self.margin])
        if self.is_hopeless:
            nearest = np.arange(len(attacked))
        nearest = nearest[: self.n_instances]
        n = len(attacked), self.n_unconverged
        return PrunedSearch(attacked[nearest], self.margin[nearest], *n)


class _Order:
    """The samples of a pool, sorted by proxy; equal proxies keep the order of the pool.

    All proxies are stored in a file; only the beginning of the order is in memory.

    Parameters
    ----------
    file : file
        Empty file, open for reading and writing.
    """

    def __init__(self, file):
        self.file, self.n_samples = file, 0
        self.position, self.proxy = np.empty(0, np.intp), np.empty(0)

    def __len__(self):
        return self.n_samples

    def append(self, proxy):
        """Append the proxies of the next samples of the pool."""
        self.dtype = proxy.dtype
        try:
            self.file.write(proxy.tobytes())
            self.file.flush()
        except OSError as error:
            raise OSError(
                "The search for the smallest margins stores one number per sample of "
                "a large pool in a temporary file, which could not be written: "
                f"{error}. Free space in the folder of temporary files, or choose "
                "another one with the environment variable TMPDIR (TEMP on Windows)."
            ) from error
        self.n_samples += len(proxy)

    def look_up(self, n):
        """Look up the first ``n`` positions, or all, and some more for later."""
        if len(self.position) < min(n, self.n_samples):
            negative = (-proxy for proxy in self._proxies())
            self.position, score = best_of(negative, _LOOK_AHEAD * n)
            self.proxy = -score

    def _proxies(self):
        self.file.seek(0)
        while content := self.file.read(_PROXY_BYTES):
            yield np.frombuffer(content, self.dtype)


def _rank(net, n_instances, engine, file):
    """Return the order of a pool, and some of the samples that come first."""
    batch_size, start = net.batch_size(None), 0
    order, kept = _Order(file), _KeptSamples(_n_to_keep(net.pool, n_instances))
    work = partial(_proxies_of_block, kept.n_kept, batch_size)
    for proxy, best, samples in net.map_blocks(work, batch_size, engine=engine):
        order.append(proxy)
        kept.add(start + best, proxy[best], samples)
        start += len(proxy)
    return order, kept


def _proxies_of_block(n_best, batch_size, net):
    """Return the proxies (n,), and the positions and samples of the smallest ones."""
    if not n_best:
        return margin_proxy(net), np.empty(0, np.intp), None
    kept, proxies, start = _KeptSamples(n_best), [], 0
    size = batch_size * batches_a_block(net.pool, batch_size)
    while start < len(net):  # each sample is read once, in parts that fit into memory
        rows = np.arange(start, min(start + size, len(net)))
        samples = net.pool.take(rows)
        proxy = margin_proxy(net.of(InHand(samples, net.rows[rows])))
        best = np.argsort(proxy, kind="stable")[:n_best]
        kept.add(rows[best], proxy[best], samples[best])
        proxies.append(proxy)
        start += size
    return np.concatenate(proxies), kept.position, kept.samples


def _n_to_keep(pool, n_instances):
    """Number of samples worth keeping; 0 if reading is fast, or done in parts."""
    root = pool.root
    is_slow = not root.is_in_memory and not hasattr(root, "as_dataset")
    if not is_slow or not isinstance(root.dtype, np.dtype):
        return 0
    n_bytes = max(1, int(np.prod(root.sample_shape)) * root.dtype.itemsize)
    return min(_KEPT_BYTES // n_bytes, max(4 * n_instances, _BLOCK_SIZE))


class _KeptSamples:
    """Samples that are likely to be attacked, kept so that they are not read again.

    Each block contributes its best few; the best of all blocks are kept.

    Parameters
    ----------
    n_kept : int
        Number of samples to keep.
    """

    def __init__(self, n_kept):
        self.n_kept = n_kept
        self.position, self.proxy, self.samples = np.empty(0, np.intp), None, None

    def add(self, position, proxy, samples):
        if samples is None:
            return
        if self.samples is not None:
            position = np.concatenate([self.position, position])
            proxy = np.concatenate([self.proxy, proxy])
            samples = np.concatenate([self.samples, samples])
        best = np.argsort(proxy, kind="stable")[: self.n_kept]
        self.position, self.proxy = position[best], proxy[best]
        self.samples = samples[best]

    def part(self, pool, positions):
        """Return samples of a pool as a pool, from memory if all of them were kept."""
        view = pool.view(positions)
        where = {position: i for i, position in enumerate(self.position.tolist())}
        found = [where.get(position) for position in positions.tolist()]
        if None in found:
            return view
        return InHand(self.samples[found], view.indices)
