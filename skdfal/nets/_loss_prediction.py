"""Learning Loss: a head that predicts the loss of a sample, and a classifier with it.

The head is separate from the module. From outside, the net is just the module, with its
own names, weights and logits.
"""

import copy
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import partial
from numbers import Integral, Real

import numpy as np
import torch
from skorch.callbacks import EarlyStopping, PassthroughScoring
from skorch.dataset import unpack_data
from torch import Tensor, nn
from torch.nn import functional as F

from skdfal._utils._torch import evaluation_mode, first_output
from skdfal.nets._classifier import RestartingClassifier
from skdfal.nets._layers import check_choice, check_counts


class LossPredictionHead(nn.Module):
    """The loss-prediction module of Learning Loss [1]_.

    Each feature map is averaged over all positions and passed through a dense layer and
    ReLU. A final dense layer turns the outputs for all maps into one number.

    Parameters
    ----------
    n_channels : sequence of int
        Number of channels of each feature map.
    n_hidden : int, default=128
        Number of units in the dense layer of each map.

    Raises
    ------
    ValueError
        If there is no map, or a number is not an integer >= 1.

    See Also
    --------
    LossPredictionClassifier : A classifier with such a head.

    References
    ----------
    .. [1] D. Yoo and I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019.
           https://arxiv.org/abs/1905.03677

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import LossPredictionHead
    >>> head = LossPredictionHead([8, 16])
    >>> head([torch.rand(5, 8), torch.rand(5, 16)]).shape
    torch.Size([5])
    """

    def __init__(self, n_channels: Sequence[int], n_hidden: int = 128) -> None:
        super().__init__()
        if not len(n_channels):
            raise ValueError(
                "n_channels is empty: the head needs at least one feature map."
            )
        for n in n_channels:
            check_counts(n_channels=n)
        check_counts(n_hidden=n_hidden)
        self.branches = nn.ModuleList(
            nn.Sequential(nn.Linear(n, n_hidden), nn.ReLU()) for n in n_channels
        )
        self.linear = nn.Linear(len(n_channels) * n_hidden, 1)

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Predict the losses of samples.

        Parameters
        ----------
        maps : sequence of Tensor of shape (n_samples, n_channels)
            Feature maps averaged over all positions, in any floating-point type.

        Returns
        -------
        loss : Tensor of shape (n_samples,)
            Predicted losses. Only their order is meaningful; the scale is arbitrary.
        """
        dtype = self.linear.weight.dtype
        pairs = zip(self.branches, maps, strict=True)
        parts = [branch(h.to(dtype)) for branch, h in pairs]
        return self.linear(torch.cat(parts, dim=1)).squeeze(1)


def margin_pair_loss(predicted: Tensor, loss: Tensor, margin: float = 1.0) -> Tensor:
    r"""Mean shortfall of the predicted order of pairs from a margin [1]_.

    Parameters
    ----------
    predicted : Tensor of shape (n_samples,)
        Predicted losses l̂.
    loss : Tensor of shape (n_samples,)
        True losses l; no gradient flows through them.
    margin : float, default=1.0
        Margin by which the predictions of a pair should differ, the paper's ξ.

    Returns
    -------
    pair_loss : Tensor of shape ()
        Mean over pairs; 0 for a single sample, which has no pair.

    Raises
    ------
    ValueError
        If the two tensors do not both have one number per sample.

    Notes
    -----
    Sample i of a batch of size B is paired with sample B + 1 - i. In an odd batch, the
    middle sample has no partner. With s = 1 where :math:`l_i > l_j` and s = -1
    elsewhere, the loss is

    .. math:: \frac{1}{\lfloor B / 2 \rfloor} \sum_{(i, j)}
        \max(0, -s (\hat l_i - \hat l_j) + \xi).

    References
    ----------
    .. [1] D. Yoo and I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019.
           https://arxiv.org/abs/1905.03677

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import margin_pair_loss
    >>> margin_pair_loss(torch.tensor([3.0, 1.0]), torch.tensor([0.2, 0.1])).item()
    0.0
    """
    _check_pairs(predicted, loss)
    if len(predicted) < 2:
        return predicted.sum() * 0
    s = torch.where(_pair_differences(loss.detach()) > 0, 1, -1)
    return (margin - s * _pair_differences(predicted)).clamp_min(0).mean()


def ranking_pair_loss(predicted: Tensor, loss: Tensor) -> Tensor:
    r"""Mean cross-entropy of predicting which loss of a pair is larger [1]_.

    Parameters
    ----------
    predicted : Tensor of shape (n_samples,)
        Predicted losses l̂.
    loss : Tensor of shape (n_samples,)
        True losses l; no gradient flows through them.

    Returns
    -------
    pair_loss : Tensor of shape ()
        Mean over pairs; 0 for a single sample, which has no pair.

    Raises
    ------
    ValueError
        If the two tensors do not both have one number per sample.

    Notes
    -----
    With the pairs of :func:`margin_pair_loss` and the logistic function σ, the loss is

    .. math:: \frac{1}{\lfloor B / 2 \rfloor} \sum_{(i, j)}
        \mathrm{BCE}(\sigma(\hat l_i - \hat l_j), 1[l_i > l_j]).

    References
    ----------
    .. [1] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import ranking_pair_loss
    >>> ranking_pair_loss(torch.zeros(4), torch.rand(4)).item()  # log 2
    0.693147...
    """
    _check_pairs(predicted, loss)
    if len(predicted) < 2:
        return predicted.sum() * 0
    is_larger = (_pair_differences(loss.detach()) > 0).to(predicted.dtype)
    return F.binary_cross_entropy_with_logits(_pair_differences(predicted), is_larger)


def _check_pairs(predicted: Tensor, loss: Tensor) -> None:
    if predicted.ndim != 1 or predicted.shape != loss.shape:
        raise ValueError(
            f"predicted has shape {tuple(predicted.shape)} and loss "
            f"{tuple(loss.shape)}; expected (n_samples,) for both. Remove a last axis "
            "of size one with squeeze(1)."
        )


def _pair_differences(values: Tensor) -> Tensor:
    """Differences of the pairs (i, B+1-i), (B,) -> (B // 2,)."""
    return (values - values.flip(0))[: len(values) // 2]


PAIR_LOSSES = {"margin": margin_pair_loss, "ranking": ranking_pair_loss}


class _LayerNotRun(ValueError):
    pass


@contextmanager
def pooled_maps(module: nn.Module, layers: Sequence[str]) -> Iterator[list[Tensor]]:
    """Collect the outputs of named layers in a forward pass, averaged over positions.

    Parameters
    ----------
    module : nn.Module
        Module that gets hooks while the context is open, and none afterwards.
    layers : sequence of str
        Names of layers in ``module.named_modules()``.

    Yields
    ------
    maps : list of Tensor of shape (n_samples, n_channels)
        Empty at first. When the context closes, one tensor per layer, in the order of
        ``layers``.

    Raises
    ------
    ValueError
        If a layer did not run.
    """
    seen: dict[str, Tensor] = {}
    maps: list[Tensor] = []

    def pool(name, layer, args, out):
        out = first_output(out)
        # A copy, since later layers may work in place.
        seen[name] = out.clone() if out.ndim == 2 else out.flatten(2).mean(2)

    with ExitStack() as hooks:
        for name in layers:
            layer = module.get_submodule(name)
            hooks.enter_context(layer.register_forward_hook(partial(pool, name)))
        yield maps
    for name in layers:
        if name not in seen:
            when = " in training" if module.training else ""
            raise _LayerNotRun(
                f"{type(module).__name__} does not run its layer {name!r} of "
                f"loss_layers{when}. Name layers that every forward pass runs."
            )
        maps.append(seen[name])


class LossPredictionClassifier(RestartingClassifier):
    r"""A skorch classifier that learns to predict its own loss in addition to its task.

    Learning Loss [1]_: a head on named feature maps of the module is trained to tell
    which of two samples has the larger loss. It needs no label to predict, so it can
    rank a pool: :func:`skdfal.learning_loss_sampling` queries the samples with the
    largest predicted loss.

    Parameters
    ----------
    module : type, function or nn.Module
        Network that outputs logits, as in skorch. It stays unchanged and is all that is
        visible from outside; the head is stored separately as ``loss_head_``.
    *args : tuple
        Positional parameters of ``skorch.NeuralNetClassifier``.
    loss_prediction : {"margin", "ranking"}, default="margin"
        Loss that trains the head: :func:`margin_pair_loss` of Learning Loss, or
        :func:`ranking_pair_loss` of TA-VAAL [2]_.
    loss_layers : sequence of str, default=None
        Names in the module's ``named_modules()`` of the layers whose output the head
        receives. The channels must be the axis after that of the samples. If None, the
        attribute ``feature_layers`` of the module is used, which all nets of this
        package have; otherwise "layer1" to "layer4", the names in torchvision's
        ResNets.
    sample_shape : tuple of int
        Shape of one sample as the module sees it. It is used to determine the number of
        channels of the feature maps.
    loss_weight : float, default=1.0
        Weight of the pair loss relative to the loss of the task, the paper's λ.
    detach_after : float in [0, 1], default=0.6
        Fraction of ``max_epochs`` after which the gradient of the pair loss stops at
        the feature maps and no longer reaches the module. The papers use 120 of 200
        epochs.
    **kwargs : dict
        Parameters of ``RestartingClassifier``.

    Attributes
    ----------
    loss_head_ : LossPredictionHead
        Loss-prediction head.
    loss_layers_ : tuple of str
        Names of the layers that it receives.

    Raises
    ------
    ValueError
        In ``initialize`` or ``fit``: if the module lacks a layer or does not run it, if
        its output has no channels, if ``sample_shape`` is missing or does not suit the
        module, or if a parameter is out of range.

    See Also
    --------
    make_classifier : Creates one with ``loss_prediction="margin"`` or ``"ranking"``.

    Notes
    -----
    The weights of module and head are saved separately, as skorch does:
    ``save_params(f_params=..., f_loss_head=...)``, and likewise for ``load_params``.
    With ``f_params`` alone, the head is not saved. Pickling keeps both.

    The loss of a training step is the loss of the task plus λ times the pair loss of
    the batch, whose targets are the losses of its samples. ``history[:, "pair_loss"]``
    is the mean pair loss of each epoch. A batch of one sample has no pair and only
    trains the task. A single optimizer with one learning rate trains module and head.

    In the code of [2]_, gradients stop one epoch later, since its count starts at 0,
    and the head is trained with every method, since ``method == 'lloss' or 'TA-VAAL'``
    is always true there. In a widely used implementation of [1]_, the weights are kept
    from stage to stage; here each fit starts from scratch, as in [2]_.

    References
    ----------
    .. [1] D. Yoo and I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019.
           https://arxiv.org/abs/1905.03677
    .. [2] K. Kim, D. Park, K. I. Kim and S. Y. Chun, "Task-Aware Variational
           Adversarial Active Learning", CVPR 2021. https://arxiv.org/abs/2002.04709

    Examples
    --------
    >>> from skdfal.nets import LeNet5, LossPredictionClassifier
    >>> net = LossPredictionClassifier(LeNet5, sample_shape=(1, 28, 28)).initialize()
    >>> net.loss_layers_
    ('features.2', 'features.6', 'features.8', 'classifier.1')
    """

    def __init__(
        self,
        module,
        *args,
        loss_prediction="margin",
        loss_layers=None,
        sample_shape=None,
        loss_weight=1.0,
        detach_after=0.6,
        **kwargs,
    ):
        super().__init__(module, *args, **kwargs)
        self.loss_prediction = loss_prediction
        self.loss_layers = loss_layers
        self.sample_shape = sample_shape
        self.loss_weight = loss_weight
        self.detach_after = detach_after

    @property
    def _default_callbacks(self):
        pair_loss = PassthroughScoring("pair_loss", on_train=True)
        return [*super()._default_callbacks, ("pair_loss", pair_loss)]

    def initialize_module(self):
        """Create the module, and the head for its feature maps.

        Returns
        -------
        self : LossPredictionClassifier
            This classifier with ``module_`` and ``loss_head_``.

        Raises
        ------
        ValueError
            If the feature maps cannot be determined.
        """
        super().initialize_module()
        self._check_parameters()
        self.loss_layers_ = _layers_of(self.module_, self.loss_layers)
        n_channels = _channels(self.module_, self.loss_layers_, self.sample_shape)
        self.loss_head_ = LossPredictionHead(n_channels)
        return self

    def _check_parameters(self):
        check_choice("loss_prediction", self.loss_prediction, tuple(PAIR_LOSSES))
        part, weight = self.detach_after, self.loss_weight
        if not isinstance(part, Real) or not 0 <= part <= 1:
            raise ValueError(f"detach_after={part!r} should be a number in [0, 1].")
        if not isinstance(weight, Real) or not 0 <= weight < np.inf:
            raise ValueError(f"loss_weight={weight!r} should be a number >= 0.")

    def on_train_begin(self, net, X=None, y=None, **kwargs):
        """Record how many epochs were trained before.

        Parameters
        ----------
        net : LossPredictionClassifier
            This classifier.
        X, y : array-like or None
            Training data.
        **kwargs : dict
            Ignored.

        Raises
        ------
        ValueError
            If a parameter that was set in the meantime is out of range.
        """
        self._check_parameters()
        super().on_train_begin(net, X=X, y=y, **kwargs)
        self.n_epochs_before_ = len(self.history)

    def train_step_single(self, batch, **fit_params):
        """Compute the gradients of the loss of the task and of the pair loss.

        Parameters
        ----------
        batch : tuple
            Samples and labels.
        **fit_params : dict
            Passed to the module.

        Returns
        -------
        step : dict
            "loss", the minimised sum, and "y_pred".
        """
        self._set_training(True)
        Xi, yi = unpack_data(batch)
        with pooled_maps(self.module_, self.loss_layers_) as maps:
            y_pred = self.infer(Xi, **fit_params)
        task_loss = self.get_loss(y_pred, yi, X=Xi, training=True)
        pair_loss = self._pair_loss(maps, self._sample_losses(y_pred, yi))
        self.history.record_batch("pair_loss", pair_loss.item())
        loss = task_loss + self.loss_weight * pair_loss
        loss.backward()
        return {"loss": loss, "y_pred": y_pred}

    def _pair_loss(self, maps, losses):
        n_epochs = len(self.history) - self.n_epochs_before_
        if n_epochs > self.detach_after * self.max_epochs:
            maps = [h.detach() for h in maps]
        return PAIR_LOSSES[self.loss_prediction](self.loss_head_(maps), losses)

    def _sample_losses(self, y_pred, y):
        """Losses of the individual samples, (n,), by the criterion without its mean."""
        criterion = self.criterion_
        if not hasattr(criterion, "reduction"):
            raise ValueError(
                f"criterion={type(criterion).__name__} has no attribute 'reduction', "
                "so the losses of single samples cannot be computed. Use one whose "
                "reduction can be set to 'none', like the losses of torch."
            )
        reduction = criterion.reduction
        criterion.reduction = "none"
        try:
            with torch.no_grad():
                losses = self.get_loss(y_pred, y, training=True)
        finally:
            criterion.reduction = reduction
        return losses.reshape(len(losses), -1).mean(1)


class StoppingWithHead(EarlyStopping):
    """Early stopping that also restores the head of the best epoch.

    Parameters
    ----------
    **kwargs : dict
        Parameters of ``skorch.callbacks.EarlyStopping``.
    """

    def on_epoch_end(self, net, **kwargs):
        best_before = self.best_epoch_
        try:
            super().on_epoch_end(net, **kwargs)
        finally:
            if self.load_best and self.best_epoch_ != best_before:
                self.best_head_weights_ = copy.deepcopy(net.loss_head_.state_dict())

    def on_train_end(self, net, **kwargs):
        super().on_train_end(net, **kwargs)
        if self.load_best and self.best_epoch_ not in (0, net.history[-1, "epoch"]):
            net.loss_head_.load_state_dict(self.best_head_weights_)


def _layers_of(module, given):
    """Return the names of the layers for the head, given or declared by the module."""
    names = dict(module.named_modules())
    if isinstance(given, str):
        given = (given,)
    if given is None:
        of_torchvision = tuple(f"layer{i}" for i in range(1, 5))
        has_all = set(of_torchvision) <= set(names)
        given = getattr(module, "feature_layers", of_torchvision if has_all else ())
    if not isinstance(given, Sequence) or not all(isinstance(n, str) for n in given):
        raise ValueError(
            f"loss_layers={given!r} should be names of layers, such as ['features.2'], "
            "or None."
        )
    missing = [name for name in given if name not in names or name == ""]
    if not len(given) or missing:
        name = type(module).__name__
        what = f"has no layers {missing}" if missing else "names no layers for the head"
        raise ValueError(
            f"{name} {what}. Set loss_layers to the layers whose feature maps the "
            "loss-prediction head should use, or give the class an attribute "
            f"feature_layers. Its layers are {', '.join(names)[2:]}."
        )
    return tuple(given)


def _channels(module, layers, sample_shape):
    """Return the number of channels of each feature map, tested on two zero samples."""
    if sample_shape is None:
        raise ValueError(
            "sample_shape=None: the loss-prediction head needs the shape of a sample "
            "to know the channels of the feature maps, such as (3, 32, 32)."
        )
    is_shape = isinstance(sample_shape, Sequence) and all(
        isinstance(side, Integral) for side in sample_shape
    )
    if not is_shape:
        raise ValueError(
            f"sample_shape={sample_shape!r} should be a tuple of int, the shape of one "
            "sample, such as (3, 32, 32)."
        )
    parameter = next(module.parameters(), torch.empty(0))
    x = parameter.new_zeros((2, *sample_shape))
    name = type(module).__name__
    try:
        with evaluation_mode(module), torch.no_grad():
            with pooled_maps(module, layers) as maps:
                module(x)
    except _LayerNotRun:
        raise
    except (RuntimeError, ValueError, IndexError, TypeError, AttributeError) as exc:
        raise ValueError(
            f"{name} cannot take sample_shape={tuple(sample_shape)}, or a layer of "
            f"loss_layers={layers} does not output feature maps with channels: {exc}"
        ) from exc
    for layer, h in zip(layers, maps, strict=True):
        if len(h) != 2:
            raise ValueError(
                f"Layer {layer!r} of {name} does not output one row per sample. Name "
                "one whose output has the samples along its first axis."
            )
    return [h.shape[1] for h in maps]
