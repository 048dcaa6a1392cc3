"""A network of this package, or the user's own, as a ready scikit-learn classifier.

Three thin layers over skorch: a dataset that hands out whole batches, a split that
draws from torch's generator, a classifier that can restart.
"""

import copy
import inspect
from functools import partial
from numbers import Integral, Real

import numpy as np
import skorch
import torch
from skorch.callbacks import Callback, EarlyStopping
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.data import BatchSampler, DataLoader, random_split

from skdfal._utils._validation import Interval, StrOptions, validate_params
from skdfal.nets._augmentation import RandomCropFlip
from skdfal.nets._dataset import ArrayDataset, TransformingCollate, collate
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vgg8 import VGG8

_MODULES = {"lenet5": LeNet5, "vgg8": VGG8, "resnet18": ResNet18}
_OPTIMIZERS = {
    # A fused step is one call instead of ten a parameter; an optimizer that is set
    # later should not inherit an option it lacks.
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4, fused=True),
}
_AUGMENTATIONS = {"crop_flip": RandomCropFlip()}

# The parameters of a module that make_classifier knows, and others' words for them.
_OTHER_NAMES = {
    "n_classes": "num_classes",  # torchvision, timm
    "in_channels": "in_chans",  # timm
    "image_size": "img_size",  # timm
}


def _random_fifth(dataset, y=None):
    """Split at random, not stratified, with a fifth (at least one) for validation.

    skorch's `ValidSplit` draws from numpy. This one draws from torch's generator,
    as weights, shuffling and dropout do, so one seed makes a fit reproducible.
    """
    n_samples = len(dataset)
    if n_samples < 2:
        raise ValueError(
            f"Found n_samples={n_samples}, but a split into training and validation "
            "needs at least 2. Label more, or set train_split=None."
        )
    n_valid = max(1, n_samples // 5)
    return random_split(dataset, [n_samples - n_valid, n_valid])


class _FoldedBatches:
    """Batches of indices, of which the last one, of one sample, joins the one before.

    A layer that normalizes by the batch cannot be trained on a batch of one.
    """

    def __init__(self, batches):
        self.batches = batches

    def __len__(self):
        return len(self.batches) - 1

    def __iter__(self):
        *batches, left_over = self.batches
        batches[-1] = [*batches[-1], *left_over]
        return iter(batches)


class _BatchLimit(Callback):
    """End a training with the epoch that reaches a number of batches.

    The way to end one is that of skorch's `EarlyStopping`.
    """

    def __init__(self, max_batches):
        self.max_batches = max_batches

    def on_train_begin(self, net, **kwargs):
        self.n_batches_ = 0

    def on_batch_end(self, net, training=False, **kwargs):
        self.n_batches_ += training

    def on_epoch_end(self, net, **kwargs):
        if self.n_batches_ >= self.max_batches:
            if net.verbose:
                print(f"Stopping after {self.n_batches_} batches.")
            raise KeyboardInterrupt


class _LateDrop(Callback):
    """Train the last fifth of the epochs with a tenth of the learning rate."""

    def on_epoch_begin(self, net, **kwargs):
        epoch = len(net.history) - 1
        if epoch == max(1, net.max_epochs * 4 // 5):
            for group in net.optimizer_.param_groups:
                group["lr"] /= 10


class RestartingClassifier(skorch.NeuralNetClassifier):
    """Classifier of skorch that fits several times and keeps the best net.

    A net trained on ten samples depends much on its first weights. Each restart
    starts from scratch, all see the same split into training and validation, and
    the net with the smallest validation loss is kept.

    Parameters
    ----------
    module : type, function or nn.Module
        As in skorch. Unlike there, an instance is copied at each fit, which so
        starts from the weights it was given with and never changes them.
    *args : tuple
        Positional parameters of ``skorch.NeuralNetClassifier``.
    n_restarts : int, default=1
        Number of fits from scratch; more than 1 needs a ``train_split``.
    **kwargs : dict
        Parameters of ``skorch.NeuralNetClassifier``.

    Attributes
    ----------
    valid_losses_ : list of float
        Validation loss of each restart, of the weights with which it ended. Absent
        with ``n_restarts=1``.

    See Also
    --------
    make_classifier : Such a classifier with the settings of the paper.

    Notes
    -----
    A training set grows by queries, and any size may come up. Where the last batch
    would be of one sample and the module has batch normalization, which cannot be
    trained on it, the sample joins the batch before. Nothing else is changed.

    Examples
    --------
    >>> import torch
    >>> from skdfal.nets import LeNet5, RestartingClassifier
    >>> RestartingClassifier(LeNet5, n_restarts=5).get_params()["n_restarts"]
    5
    """

    def __init__(self, module, *args, n_restarts=1, **kwargs):
        super().__init__(module, *args, **kwargs)
        self.n_restarts = n_restarts

    def fit(self, X, y, **fit_params):
        """Fit from scratch, as often as there are restarts, and keep the best.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels, from 0 to n_classes - 1; None where X is a Dataset with labels.
        **fit_params : dict
            Handed to the module and to ``train_split``.

        Returns
        -------
        self : RestartingClassifier
            The classifier with the smallest validation loss.

        Raises
        ------
        ValueError
            If there are several restarts but nothing to tell the best by, or
            ``warm_start`` is set, which would carry on rather than restart.
        """
        self._check_restarts()
        if self.n_restarts == 1:
            return super().fit(X, y, **fit_params)

        self._split = self.get_split_datasets(X, y, **fit_params)
        losses, best = [], {}
        try:
            for _ in range(self.n_restarts):
                super().fit(X, y, **fit_params)
                losses.append(self._valid_loss())
                # The first restart stays where all losses are NaN.
                if not best or losses[-1] < np.nanmin([*losses[:-1], np.inf]):
                    # initialize() makes all of these anew: references suffice.
                    best = {k: v for k, v in vars(self).items() if k.endswith("_")}
        finally:
            del self._split
        vars(self).update(best)
        self.valid_losses_ = losses
        return self

    def get_split_datasets(self, X, y=None, **fit_params):
        """Training and validation set, the same for all restarts of a fit.

        Parameters
        ----------
        X : array-like of shape (n_samples, ...), or torch Dataset
            Training samples.
        y : array-like of shape (n_samples,), or None
            Labels.
        **fit_params : dict
            Handed to ``train_split``.

        Returns
        -------
        dataset_train, dataset_valid : torch Dataset
            The second is None without ``train_split``.
        """
        if hasattr(self, "_split"):
            return self._split
        return super().get_split_datasets(X, y, **fit_params)

    def get_iterator(self, dataset, training=False):
        """Make the batches; none of one sample where the module cannot train on it.

        Parameters
        ----------
        dataset : torch Dataset
            Samples, or samples and labels.
        training : bool, default=False
            Whether to take the settings for training, or those for prediction.

        Returns
        -------
        iterator : iterable
            What ``iterator_train`` or ``iterator_valid`` makes of them, by default a
            ``torch.utils.data.DataLoader``.

        Raises
        ------
        ValueError
            If there is no batch to train on, since ``drop_last`` drops the only one.
        """
        iterator = super().get_iterator(dataset, training)
        batches = getattr(iterator, "batch_sampler", None)
        is_sized = isinstance(batches, BatchSampler) and hasattr(dataset, "__len__")
        if not training or not is_sized:
            return iterator
        if len(dataset) and not len(batches):
            raise ValueError(
                f"iterator_train__drop_last=True drops all {len(dataset)} samples: "
                f"they are fewer than batch_size={batches.batch_size}, so nothing "
                "would be trained. Leave it out, or take smaller batches."
            )
        n_left_over = 0 if batches.drop_last else len(dataset) % batches.batch_size
        if n_left_over != 1 or len(batches) == 1 or not self._normalizes_by_batch():
            return iterator
        params = self.get_params_for("iterator_train")
        for name in ("batch_size", "shuffle", "sampler", "drop_last"):
            params.pop(name, None)
        return DataLoader(dataset, batch_sampler=_FoldedBatches(batches), **params)

    def initialize(self):
        """Make module, criterion, optimizer and callbacks, on the device.

        Returns
        -------
        self : RestartingClassifier
            The classifier, ready to be trained.

        Raises
        ------
        ValueError
            If there is no such device on this machine, or it holds no numbers.
        """
        if self.device is not None:
            _check_device(self.device)
        return super().initialize()

    def initialize_module(self):
        """Make the module.

        Returns
        -------
        self : RestartingClassifier
            The classifier with its ``module_``.

        Raises
        ------
        TypeError
            If ``module`` is a function that returns something else.
        """
        super().initialize_module()
        if not isinstance(self.module_, nn.Module):
            raise TypeError(
                f"module={self.module!r} made a {type(self.module_).__name__}, but an "
                "nn.Module is needed. Pass the network's class, an instance, or a "
                "function that returns one."
            )
        return self

    def initialized_instance(self, instance_or_cls, kwargs):
        """Module, criterion or their like from a class, or from a copy of an instance.

        Parameters
        ----------
        instance_or_cls : type or nn.Module
            What skorch was given.
        kwargs : dict
            Parameters of the constructor.

        Returns
        -------
        instance : nn.Module
            A new object.
        """
        if isinstance(instance_or_cls, nn.Module):
            instance_or_cls = copy.deepcopy(instance_or_cls)
        return super().initialized_instance(instance_or_cls, kwargs)

    def _check_restarts(self):
        if not isinstance(self.n_restarts, Integral) or self.n_restarts < 1:
            raise ValueError(
                f"n_restarts={self.n_restarts!r} should be an integer >= 1."
            )
        if self.n_restarts > 1 and not self.train_split:
            raise ValueError(
                f"n_restarts={self.n_restarts} needs a validation split to tell which "
                "restart is best, but train_split is None. Set patience (or "
                "train_split), or n_restarts=1."
            )
        if self.n_restarts > 1 and self.warm_start:
            raise ValueError(
                f"n_restarts={self.n_restarts} starts from scratch, but "
                "warm_start=True carries on. Choose one of the two."
            )

    def _normalizes_by_batch(self):
        return any(isinstance(m, _BatchNorm) for m in self.module_.modules())

    def _valid_loss(self):
        """Mean loss of the present weights on the validation set."""
        _, dataset_valid = self._split
        batches = list(self.get_iterator(dataset_valid, training=False))
        losses = [self.validation_step(batch)["loss"].item() for batch in batches]
        return float(np.average(losses, weights=[len(batch[0]) for batch in batches]))


@validate_params(
    {
        "module": [StrOptions(set(_MODULES)), callable],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "in_channels": [Interval(Integral, 1, None, closed="left")],
        "image_size": [Interval(Integral, 1, None, closed="left"), tuple],
        "width": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [Interval(Integral, 1, None, closed="left")],
        "max_batches": [Interval(Integral, 1, None, closed="left"), None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [Interval(Integral, 1, None, closed="left")],
        "patience": [Interval(Integral, 1, None, closed="left"), None],
        "n_restarts": [Interval(Integral, 1, None, closed="left")],
        "optimizer": [StrOptions(set(_OPTIMIZERS)), callable],
        "augmentation": [StrOptions(set(_AUGMENTATIONS)), callable, None],
        "device": [str, torch.device],
        "verbose": ["verbose"],
    },
    prefer_skip_nested_validation=True,
)
def make_classifier(
    module="lenet5",
    *,
    n_classes=10,
    in_channels=1,
    image_size=28,
    width=1.0,
    max_epochs=50,
    max_batches=None,
    lr=0.001,
    batch_size=32,
    patience=None,
    n_restarts=1,
    optimizer="adam",
    augmentation=None,
    device="cpu",
    verbose=0,
    **kwargs,
):
    """Make a classifier with the hyper-parameters of the DFAL paper [1]_.

    Adam, learning rate 0.001, batches of 32, cross-entropy on the logits. The result
    is a skorch net: an estimator of scikit-learn that clones, pickles and searches.

    Parameters
    ----------
    module : {"lenet5", "vgg8", "resnet18"}, type, function or nn.Module, \
default="lenet5"
        The network, which should give logits. A class, or a function that returns a
        network, is called with those of the next four parameters that it names, also
        as torchvision and timm do: ``num_classes``, ``in_chans``, ``img_size``. A
        function with ``**kwargs`` gets ``num_classes``. An instance is taken as it
        is: each fit starts from its weights, on a copy.
    n_classes : int, default=10
        Number of classes; labels are 0 to ``n_classes - 1``.
    in_channels : int, default=1
        Channels of the images.
    image_size : int or tuple of (int, int), default=28
        Height and width of the images in pixels.
    width : float, default=1.0
        Factor on the number of units of every hidden layer.
    max_epochs : int, default=50
        Passes over the training set; 100 in the paper's own code, which stops early.
    max_batches : int or None, default=None
        A number ends the training earlier, with the epoch that reaches so many
        batches: a bound on its time where samples are many, as pseudo-labels are.
    lr : float, default=0.001
        Learning rate.
    batch_size : int, default=32
        Samples per step.
    patience : int or None, default=None
        None trains on all labels for ``max_epochs``. A number keeps a random fifth of
        the labels for validation, stops once its loss has not improved for so many
        epochs, and takes the weights of the best epoch; 5 in the paper's own code.
    n_restarts : int, default=1
        Fits from scratch, of which the one with the smallest validation loss is kept;
        5 in the paper's own code. More than 1 needs ``patience``.
    optimizer : {"adam", "sgd"}, type or function, default="adam"
        What takes the steps. "sgd" is that of the papers on learning loss [2]_:
        momentum 0.9, weight decay 5e-4, and a tenth of ``lr`` in the last fifth of
        the epochs; they have ``lr=0.1``. Or a class of ``torch.optim``.
    augmentation : {"crop_flip"}, function or None, default=None
        What is done to each batch of a training, and to no other: "crop_flip" is
        :class:`RandomCropFlip`. A function takes and returns a tensor of images.
    device : str or torch.device, default="cpu"
        Where to train.
    verbose : int, default=0
        1 prints one line per epoch.
    **kwargs : dict
        Further parameters of skorch, such as ``module__dropout=0.2`` or
        ``callbacks``; they override the ones above.

    Returns
    -------
    net : RestartingClassifier
        Unfitted ``skorch.NeuralNetClassifier``.

    Raises
    ------
    InvalidParameterError
        A ValueError, if a parameter is out of its range.

    See Also
    --------
    LeNet5 : The smaller network.
    VGG8 : The larger network.
    ResNet18 : The network of the task-aware experiments.

    Notes
    -----
    All that is random in a fit (weights, split, shuffling, dropout) comes from torch's
    global generator: after ``torch.manual_seed(0)`` it is the same on each CPU run.

    The split is not stratified, so classes with a single label are no obstacle.

    Two things make small nets train faster here than with skorch's defaults: batches
    are taken by one indexing, and no accuracy is computed after an epoch. Adam is
    torch's fused one. Pass ``dataset``, ``callbacks__valid_acc`` or ``optimizer`` for
    others.

    References
    ----------
    .. [1] M. Ducoffe and F. Precioso, "Adversarial Active Learning for Deep
           Networks: a Margin Based Approach", 2018.
           https://arxiv.org/abs/1802.09841
    .. [2] D. Yoo and I. S. Kweon, "Learning Loss for Active Learning", CVPR 2019.
           https://arxiv.org/abs/1905.03677

    Examples
    --------
    >>> import torch
    >>> from skdfal.datasets import load_digits
    >>> from skdfal.nets import make_classifier
    >>> digits = load_digits()
    >>> _ = torch.manual_seed(0)
    >>> net = make_classifier("lenet5", image_size=24, max_epochs=20)
    >>> net = net.fit(digits.X_train[:200], digits.y_train[:200])
    >>> bool(net.score(digits.X_test, digits.y_test) > 0.7)
    True
    """
    if isinstance(augmentation, str):
        augmentation = _AUGMENTATIONS[augmentation]
    settings = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": (
            _OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
        ),
        "lr": lr,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "n_restarts": n_restarts,
        "train_split": None,
        "dataset": ArrayDataset,
        "iterator_train__shuffle": True,
        "iterator_train__collate_fn": (
            TransformingCollate(augmentation) if augmentation else collate
        ),
        "iterator_valid__collate_fn": collate,
        "callbacks__valid_acc": None,
        "device": device,
        "verbose": verbose,
    }
    callbacks = []
    if patience is not None:
        stopping = EarlyStopping(patience=patience, threshold=0, load_best=True)
        settings["train_split"] = _random_fifth
        callbacks.append(("early_stopping", stopping))
    if optimizer == "sgd":
        callbacks.append(("late_drop", _LateDrop()))
    if not isinstance(kwargs.get("callbacks"), str):  # skorch's "disable"
        callbacks += kwargs.pop("callbacks", None) or []
        if max_batches is not None:  # last, so that the others see the last epoch
            callbacks.append(("batch_limit", _BatchLimit(max_batches)))
        settings["callbacks"] = callbacks or None
    elif max_batches is not None:
        raise ValueError(
            f"max_batches={max_batches} is kept by a callback, but callbacks="
            f"{kwargs['callbacks']!r}. Leave one of them out."
        )

    module = _MODULES.get(module, module) if isinstance(module, str) else module
    shape = {
        "n_classes": n_classes,
        "in_channels": in_channels,
        "image_size": image_size,
        "width": width,
    }
    if module not in _MODULES.values() and width == 1:
        del shape["width"]  # a user's own width may be a number of units
    if not isinstance(module, nn.Module):
        names = _names_of_parameters(module)
        settings |= {f"module__{names[k]}": v for k, v in shape.items() if k in names}
        if "n_classes" in names:
            # The columns of predict_proba, also where a class has no label yet.
            given = kwargs.get(f"module__{names['n_classes']}", n_classes)
            settings["classes"] = range(given)
    return RestartingClassifier(module, **(settings | kwargs))


def _names_of_parameters(module):
    """What a class or function calls the parameters of `make_classifier`.

    torchvision's and timm's functions hand ``num_classes`` on as one of ``**kwargs``.
    What a ``functools.partial`` has set already is not set again.
    """
    parameters = inspect.signature(module).parameters
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = set(parameters)
    if isinstance(module, partial):
        known -= set(module.keywords)
        is_open = is_open and "num_classes" not in module.keywords
    names = {}
    for name in ("n_classes", "in_channels", "image_size", "width"):
        for other in (name, _OTHER_NAMES.get(name)):
            if other in known:
                names.setdefault(name, other)
    if is_open and not isinstance(module, type):
        names.setdefault("n_classes", _OTHER_NAMES["n_classes"])
    return names


def _check_device(device):
    """Raise a ValueError unless tensors with numbers can be made on a device."""
    try:
        is_there = torch.empty(0, device=device).device.type != "meta"
        reason = "it holds no numbers"
    except (RuntimeError, AssertionError, NotImplementedError) as exc:
        is_there, reason = False, str(exc).partition(". ")[0]
    if not is_there:
        raise ValueError(
            f"device={str(device)!r} cannot be trained on: {reason}. Take 'cpu', or "
            "'cuda' where torch.cuda.is_available()."
        )
