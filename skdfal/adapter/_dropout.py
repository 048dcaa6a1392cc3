"""Draws from nets with dropout, with separate masks for each sample.

A mask entry is a hash of the seed, the sample's row in the pool, the draw, the dropout
call within the forward pass, and the unit. The draws of a sample therefore depend
neither on the batch nor on the other samples that are scored.
"""

import math
from contextlib import ExitStack, contextmanager
from functools import partial
from numbers import Integral

import numpy as np
import torch
from sklearn.utils import check_random_state, gen_batches
from torch import nn

from skdfal._utils._torch import evaluation_mode, in_double, map_tensors
from skdfal.adapter._batches import PROCESS_STATE, batches_a_block
from skdfal.adapter._probe import member_nets
from skdfal.pool import map_blocks

_OF_UNITS = (nn.Dropout, nn.AlphaDropout)
_OF_CHANNELS = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d, nn.FeatureAlphaDropout)
# torch treats inputs with this many dimensions as one sample, with channels first.
_UNBATCHED = {nn.Dropout1d: 2, nn.Dropout3d: 4}
# Value that alpha dropout puts in place of a unit: SELU's limit, -λα.
_SATURATED = -1.7580993408473766
# SplitMix64 in int64: the odd step, then shifts and factors of the finalizer.
_STEP = 0x9E3779B97F4A7C15 - 2**64
_ROUNDS = ((30, 0xBF58476D1CE4E5B9 - 2**64), (27, 0x94D049BB133111EB - 2**64), (31, 1))
# Makes the seeds of draws differ from other uses of the same random_state.
_STREAM = 1


def map_draws(function, estimator, X, n_draws, batch_size, random_state, caller):
    """Yield the result of a function of all draws, (n_draws, n, C), for each batch.

    The function gets probabilities, and may run in another process. Each member of a
    Committee is sampled ``n_draws`` times, or once each if none of them has dropout.
    ``caller`` is named in the error raised if there is nothing to draw from. The draws
    of a sample are determined by its row in ``X`` or, if ``X`` is a view, in the whole
    pool.
    """
    nets = member_nets(estimator, X)
    if len(nets) == 1 and not _dropout_layers(nets[0].module):
        raise ValueError(
            f"{caller} needs dropout, but {nets[0].name} has no dropout layer, so "
            "all draws would agree. Add one, or pass a Committee."
        )
    if not any(_dropout_layers(net.module) for net in nets):
        n_draws = 1
    seeds = _seeds(random_state, len(nets))
    drawers = [_Drawer(*each, n_draws) for each in zip(nets, seeds, strict=True)]
    n_rows = max(1, nets[0].batch_size(batch_size) // n_draws)
    pool = nets[0].pool
    size = n_rows * batches_a_block(pool, n_rows)
    work = partial(_results_of_part, n_rows, function)
    for results in map_blocks(work, drawers, pool, size):
        yield from results


def _results_of_part(n_rows, function, drawers, part):
    """Return the function of the draws of each batch of a block."""
    rows, found = part.indices, []
    batches = zip(
        *(drawer.net.of(part).batches(n_rows) for drawer in drawers), strict=True
    )
    for some, xs in zip(gen_batches(len(rows), n_rows), batches, strict=True):
        proba = [draw(x, rows[some]) for draw, x in zip(drawers, xs, strict=True)]
        found.append(function(np.concatenate(proba)))
    return found


def _seeds(random_state, n):
    """Derive ``n`` 64-bit seeds, as int64."""
    if random_state is None:  # numpy's global generator stays untouched
        entropy = None
    elif isinstance(random_state, Integral):
        entropy = [int(random_state), _STREAM]
    else:
        entropy = check_random_state(random_state).randint(2**31 - 1, size=2)
    state = np.random.SeedSequence(entropy).generate_state(n, np.uint64)
    return state.view(np.int64).tolist()


def _dropout_layers(module):
    """List the layers that apply dropout in training mode."""
    return [layer for layer in module.modules() if _drops(layer)]


def _drops(layer):
    if isinstance(layer, (*_OF_UNITS, *_OF_CHANNELS)):
        return layer.p > 0
    if isinstance(layer, nn.RNNBase):
        return layer.dropout > 0 and layer.num_layers > 1  # between the layers
    return isinstance(layer, nn.MultiheadAttention) and layer.dropout > 0


class _Drawer:
    """Draws from one net.

    All draws of a batch go through the net together, with the dropout of its layers
    replaced by :class:`_Masks`. If a dropout layer cannot be replaced, or its input
    does not have the samples in its first dimension, samples are processed one by one,
    with torch's generator seeded by their rows.
    """

    def __init__(self, net, seed, n_draws):
        self.net, self.module = net, net.module
        self.seed = seed
        self.n_draws = n_draws
        self.layers = _dropout_layers(net.module)
        self.has_attention = any(
            isinstance(layer, nn.MultiheadAttention) for layer in net.module.modules()
        )
        x = net.batch(np.arange(min(2, len(net))))
        self.takes_masks = False  # until it is tested
        with self._no_dropout():
            self.takes_masks = _takes_masks(self.module, self.layers, x)
            self.runs_once = _runs_once(self.module, self.layers, x)

    def __call__(self, x, rows):
        """Return probabilities, float64 of shape (n_draws, n, C)."""
        with self._no_dropout():
            if not self.layers:
                logits = self.module(x).expand(self.n_draws, -1, -1)
            elif self.takes_masks:
                logits = self._draw_together(x, rows)
            else:
                logits = self._draw_one_by_one(x, rows)
        self.net.finite(logits.transpose(0, 1))
        return in_double(logits).softmax(-1).cpu().numpy()

    def _draw_together(self, x, rows):
        masks = _Masks(self.seed, rows, self.n_draws, self.net.device)
        with _hooked(self.layers, masks):
            return self._forward(x, len(rows))

    def _draw_one_by_one(self, x, rows):
        seeds = _hash(torch.tensor(self.seed), torch.as_tensor(rows)).tolist()
        # cuDNN's recurrent layers use their own generator, which cannot be seeded.
        with _training(self.layers), torch.backends.cudnn.flags(enabled=False):
            with _forked_generator(self.net.device) as generator:
                logits = []
                for i, seed in enumerate(seeds):
                    generator.manual_seed(seed)
                    logits.append(self._forward(_rows(x, slice(i, i + 1)), 1))
        return torch.cat(logits, dim=1)

    def _forward(self, x, n):
        """Return the logits of ``n_draws`` copies of ``x``, (n_draws, n, C)."""
        forward = _forward_repeated if self.runs_once else _repeated_forward
        logits = forward(self.module, self.layers, x, self.n_draws)
        return logits.unflatten(0, (self.n_draws, n))

    @contextmanager
    def _no_dropout(self):
        with ExitStack() as stack:
            if self.has_attention or not self.takes_masks:
                stack.enter_context(PROCESS_STATE)
            if self.has_attention:
                stack.enter_context(_no_fused_attention())
            stack.enter_context(evaluation_mode(self.module))
            stack.enter_context(torch.no_grad())
            yield


@contextmanager
def _no_fused_attention():
    """Use kernels that run every layer: fused ones skip dropout."""
    has_fastpath = torch.backends.mha.get_fastpath_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(has_fastpath)


class _Masks:
    """Forward hook that applies dropout in evaluation mode, with reproducible masks."""

    def __init__(self, seed, rows, n_draws, device):
        by_row = _hash(torch.tensor(seed), torch.as_tensor(rows, device=device))
        draws = torch.arange(n_draws, device=device).unsqueeze(1)
        self.keys = _hash(by_row, draws).view(-1, 1)  # (n_draws * n, 1)
        self.n_calls = 0

    def __call__(self, layer, _, x):
        p, kept = layer.p, self._kept(layer.p, _mask_shape(layer, x))
        self.n_calls += 1
        if p == 1:
            out = torch.zeros_like(x)
        elif isinstance(layer, (nn.AlphaDropout, nn.FeatureAlphaDropout)):
            scale = ((1 - p) * (1 + p * _SATURATED**2)) ** -0.5
            out = scale * (torch.where(kept, x, _SATURATED) - p * _SATURATED)
        else:
            out = torch.where(kept, x / (1 - p), 0)
        return x.copy_(out) if layer.inplace else out

    def _kept(self, p, shape):
        """Whether each unit stays, from 16 bits per unit: with probability 1 - p."""
        n_units = math.prod(shape[1:])
        keys = _hash(self.keys, torch.tensor(self.n_calls))
        words = _hash(keys, torch.arange(-(-n_units // 4), device=keys.device))
        bits = words.view(torch.int16)[:, :n_units]  # four per word
        first_kept = min(round(2**16 * p) - 2**15, 2**15 - 1)
        return (bits >= first_kept).reshape(shape)


def _mask_shape(layer, x):
    """Shape of the mask of ``layer`` for ``x``: per unit, or per channel."""
    if isinstance(layer, _OF_UNITS):
        return x.shape
    n_dims = 1 if x.ndim == _UNBATCHED.get(type(layer)) else 2
    return (*x.shape[:n_dims], *[1] * (x.ndim - n_dims))


def _hash(key, index):
    """Return element ``index`` of the SplitMix64 sequence that starts at ``key``.

    Both are int64 tensors that broadcast. G. L. Steele, D. Lea, C. H. Flood, "Fast
    Splittable Pseudorandom Number Generators", OOPSLA 2014,
    https://doi.org/10.1145/2660193.2660195
    """
    z = key + (index + 1) * _STEP
    for shift, factor in _ROUNDS:
        z ^= (z >> shift) & (2 ** (64 - shift) - 1)  # a logical shift: no sign bits
        z *= factor
    return z


# A batch and its copies.


def _takes_masks(module, layers, x):
    """Whether ``layers`` suit :class:`_Masks`: known, with one row per sample.

    Tested with two batch sizes, in case one equals some other dimension.
    """
    if not all(type(layer) in (*_OF_UNITS, *_OF_CHANNELS) for layer in layers):
        return False
    for n_samples in (2, 3):
        seen = []
        with _hooked(layers, lambda layer, args, out, seen=seen: seen.append(len(out))):
            module(_repeat(_rows(x, slice(1)), n_samples))
        if any(n_rows != n_samples for n_rows in seen):
            return False
    return True


def _runs_once(module, layers, x):
    """Whether repeating late equals repeating early, tested without dropout.

    It does not if a skip connection bypasses the first dropout layer.
    """
    try:
        late = _forward_repeated(module, layers, x, 3)
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError):
        return False
    early = _repeat(module(x), 3)
    return late.shape == early.shape and torch.allclose(late, early, rtol=1e-4)


def _repeat(x, n_draws):
    return map_tensors(lambda part: part.repeat(n_draws, *[1] * (part.ndim - 1)), x)


def _rows(x, rows):
    return map_tensors(lambda part: part[rows], x)


def _repeated_forward(module, layers, x, n_draws):
    """Run one copy of the batch per draw."""
    return module(_repeat(x, n_draws))


def _forward_repeated(module, layers, x, n_draws):
    """Run ``x``, repeating the batch only at the first of ``layers``."""
    with ExitStack() as hooks:

        def repeat(_, args):
            hooks.close()  # run only once
            return tuple(_repeat(arg, n_draws) for arg in args)

        for layer in layers:
            hooks.enter_context(layer.register_forward_pre_hook(repeat))
        return module(x)


@contextmanager
def _hooked(layers, hook):
    """Register ``hook`` for the output of each of ``layers`` within the context."""
    with ExitStack() as hooks:
        for layer in layers:
            hooks.enter_context(layer.register_forward_hook(hook))
        yield


@contextmanager
def _training(layers):
    """Switch ``layers``, but not their submodules, from evaluation to training mode."""
    for layer in layers:
        layer.training = True
    try:
        yield
    finally:
        for layer in layers:
            layer.training = False


@contextmanager
def _forked_generator(device):
    """Yield the generator used by dropout, and restore its state afterwards."""
    is_cuda = device.type == "cuda"
    with torch.random.fork_rng(devices=[device] if is_cuda else []):
        if is_cuda:
            yield torch.cuda.default_generators[device.index]
        else:
            yield torch.default_generator
