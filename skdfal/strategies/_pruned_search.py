"""The smallest margins of a pool, best first by proxy, without attacking it all."""

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

# The search stops where the proxy says that the margin is at least this part of what
# it would be at the smallest margin-to-proxy ratio seen so far.
_SAFETY = 0.7

# It ends where so many of the likeliest to change never did, and no other.
_N_HOPELESS = 128

# Candidates that are attacked before it looks whether to go on, at most.
_BLOCK_SIZE = 128

# Of the order, so many times what a round needs is looked up.
_MORE = 8

# Bytes of proxies beyond which they lie in a file, and that are read of it at a time.
_PROXY_BYTES = 2**20

# Bytes of samples that are kept from the pass of proxies for the attacks, at most.
_PICTURE_BYTES = 2**25


class PrunedSearch(NamedTuple):
    """What the search found, and what it cost."""

    indices: np.ndarray
    margin: np.ndarray
    n_attacked: int
    n_unconverged: int


def pruned_search(net, n_instances, attack):
    """Find the ``n_instances`` smallest margins, best first by proxy.

    In rounds, each of some blocks of the order; what is too far is told by the bound
    at the beginning of the round. When to end is looked at before each block, and what
    was worked ahead is dropped then.

    Parameters
    ----------
    net : TorchNet
        For the attack, with the samples as its pool.
    n_instances : int
        How many.
    attack : dict
        Parameters of :func:`deepfool`, with a number for ``batch_size``.

    Returns
    -------
    found : PrunedSearch
        Positions, the smallest margin first, and their margins.

    Raises
    ------
    OSError
        If the temporary file of the proxies cannot be written.
    """
    engine = engine_for(net.pool)
    block_size = min(attack["batch_size"], max(32, min(2 * n_instances, _BLOCK_SIZE)))
    with _temporary_file() as file:
        order, pictures = _look(net, n_instances, engine, file)
        search = _Search(order, n_instances)
        for n_blocks in _rounds():
            blocks = search.next_blocks(n_blocks, block_size)
            work = partial(_margins_within, search.worst, attack)
            parts = (pictures.part(net.pool, block) for block in blocks)
            found = net.map_parts(work, parts, engine)
            for _ in blocks:
                if not search.is_over:
                    search.add(*next(found))
            if search.is_over:
                return search.result()


@contextmanager
def _temporary_file():
    """Open a file without a name, in memory as long as it is small."""
    file = SpooledTemporaryFile(_PROXY_BYTES)
    try:
        yield file
    finally:
        with suppress(OSError):  # a full disk, of which `append` has told
            file.close()


def _rounds():
    """Yield how many blocks a round has: 1, 1, 2, 4, 8, ..., as many as before."""
    n_blocks = 1
    yield n_blocks
    while True:
        yield n_blocks
        n_blocks *= 2


def _margins_within(worst, attack, net):
    """Margins of a block, (n,), infinite beyond ``worst``; how many never converged."""
    x = net.batch(np.arange(len(net)))
    result, too_far = deepfool_within(net.module, x, worst, **attack)
    n_unconverged = int((~result.converged & ~too_far).sum())
    return result.norm.cpu().double().numpy(), n_unconverged


class _Search:
    """What is known of margins so far, and what to look at next."""

    def __init__(self, order, n_instances):
        self.order, self.n_instances = order, n_instances
        self.margin = np.empty(0)  # of the first ones of the order
        self.n_unconverged = 0
        self.worst = self.smallest_ratio = np.inf

    def next_blocks(self, n_blocks, size):
        """Return the positions of each of some blocks."""
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
        """Whether the net answers one class for all of the likeliest to change."""
        enough = max(self.n_instances, _N_HOPELESS)
        return len(self.margin) == self.n_unconverged >= enough

    def add(self, margin, n_unconverged):
        """Take note of the next block."""
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
    """The samples of a pool by their proxies, smallest first, equal ones as they lie.

    All proxies are in a file; the first ones of the order are known.

    Parameters
    ----------
    file : file
        Empty, open for reading and writing.
    """

    def __init__(self, file):
        self.file, self.n_samples = file, 0
        self.position, self.proxy = np.empty(0, np.intp), np.empty(0)

    def __len__(self):
        return self.n_samples

    def append(self, proxy):
        """Take the proxies of the next samples of the pool."""
        self.dtype = proxy.dtype
        try:
            self.file.write(proxy.tobytes())
            self.file.flush()
        except OSError as error:
            raise OSError(
                "The search for the smallest margins keeps a number for each sample "
                f"of a large pool in a temporary file, and cannot write it: {error}. "
                "Make room in the folder of temporary files, or name another one by "
                "the environment variable TMPDIR (TEMP on Windows)."
            ) from error
        self.n_samples += len(proxy)

    def look_up(self, n):
        """Know the first ``n``, if there are so many, and more for later."""
        if len(self.position) < min(n, self.n_samples):
            self.position, score = best_of((-p for p in self._proxies()), _MORE * n)
            self.proxy = -score

    def _proxies(self):
        self.file.seek(0)
        while content := self.file.read(_PROXY_BYTES):
            yield np.frombuffer(content, self.dtype)


def _look(net, n_instances, engine, file):
    """Return the order of a pool, and some of the samples that come first."""
    batch_size, start = net.batch_size(None), 0
    order, pictures = _Order(file), _Pictures(_n_pictures(net.pool, n_instances))
    work = partial(_proxies_of_block, pictures.n_kept, batch_size)
    for proxy, best, samples in net.map_blocks(work, batch_size, engine=engine):
        order.append(proxy)
        pictures.add(start + best, proxy[best], samples)
        start += len(proxy)
    return order, pictures


def _proxies_of_block(n_best, batch_size, net):
    """Return proxies (n,), and where the smallest are, with their samples."""
    if not n_best:
        return margin_proxy(net), np.empty(0, np.intp), None
    pictures, proxies, start = _Pictures(n_best), [], 0
    size = batch_size * batches_a_block(net.pool, batch_size)
    while start < len(net):  # read once, as much as is read at a time
        rows = np.arange(start, min(start + size, len(net)))
        samples = net.pool.take(rows)
        proxy = margin_proxy(net.of(InHand(samples, net.rows[rows])))
        best = np.argsort(proxy, kind="stable")[:n_best]
        pictures.add(rows[best], proxy[best], samples[best])
        proxies.append(proxy)
        start += size
    return np.concatenate(proxies), pictures.position, pictures.samples


def _n_pictures(pool, n_instances):
    """How many samples are worth keeping: none of what is read fast, or in parts."""
    root = pool.root
    is_slow = not root.is_in_memory and not hasattr(root, "as_dataset")
    if not is_slow or not isinstance(root.dtype, np.dtype):
        return 0
    n_bytes = max(1, int(np.prod(root.sample_shape)) * root.dtype.itemsize)
    return min(_PICTURE_BYTES // n_bytes, max(4 * n_instances, _BLOCK_SIZE))


class _Pictures:
    """Samples that are likely to be attacked, so that they need not be read again.

    Each block brings its best few. Kept are the best of these.

    Parameters
    ----------
    n_kept : int
        How many.
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
        """Return samples of a pool as a pool, in hand if all of them were kept."""
        view = pool.view(positions)
        where = {position: i for i, position in enumerate(self.position.tolist())}
        found = [where.get(position) for position in positions.tolist()]
        if None in found:
            return view
        return InHand(self.samples[found], view.indices)
