"""A network of this package, or the user's own, as a ready scikit-learn classifier."""

import inspect
from functools import partial
from numbers import Integral, Real

import torch
from skorch import NeuralNet
from skorch.callbacks import EarlyStopping
from torch import nn

from skdfal._utils._names import did_you_mean
from skdfal._utils._validation import COUNT, Interval, StrOptions, validate_params
from skdfal.nets._augmentation import RandomCropFlip
from skdfal.nets._classifier import (
    RestartingClassifier,
    _BatchLimit,
    _LateDrop,
    _random_fifth,
)
from skdfal.nets._dataset import ArrayDataset, TransformingCollate, collate
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._loss_prediction import (
    PAIR_LOSSES,
    LossPredictionClassifier,
    StoppingWithHead,
)
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vgg8 import VGG8

_MODULES = {"lenet5": LeNet5, "vgg8": VGG8, "resnet18": ResNet18}
_OPTIMIZERS = {
    # A fused step is one call instead of ten per parameter. An optimizer that is set
    # later should not inherit an option it lacks.
    "adam": partial(torch.optim.Adam, fused=True),
    "sgd": partial(torch.optim.SGD, momentum=0.9, weight_decay=5e-4, fused=True),
}
_AUGMENTATIONS = {"crop_flip": RandomCropFlip()}

# Parameters of a module that make_classifier knows, and their names elsewhere.
_OTHER_NAMES = {
    "n_classes": "num_classes",  # torchvision, timm
    "in_channels": "in_chans",  # timm
    "image_size": "img_size",  # timm
}


@validate_params(
    {
        "module": [StrOptions(set(_MODULES)), callable],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "in_channels": [COUNT],
        "image_size": [COUNT, tuple],
        "width": [Interval(Real, 0, None, closed="neither")],
        "max_epochs": [COUNT],
        "max_batches": [COUNT, None],
        "lr": [Interval(Real, 0, None, closed="neither")],
        "batch_size": [COUNT],
        "patience": [COUNT, None],
        "n_restarts": [COUNT],
        "loss_prediction": [StrOptions(set(PAIR_LOSSES)), None],
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
    loss_prediction=None,
    optimizer="adam",
    augmentation=None,
    device="cpu",
    verbose=0,
    **kwargs,
):
    """Make a classifier with the hyper-parameters of the DFAL paper [1]_.

    By default, it uses Adam with a learning rate of 0.001, batches of 32, and
    cross-entropy on the logits. The result is a skorch net: a scikit-learn estimator
    that can be cloned, pickled and used in a parameter search.

    Parameters
    ----------
    module : {"lenet5", "vgg8", "resnet18"}, type, function or nn.Module, \
default="lenet5"
        Network that returns logits. A class, or a function that returns a network, is
        called with those of the next four parameters that are in its signature; the
        names used by torchvision and timm (``num_classes``, ``in_chans``, ``img_size``)
        are recognised too. A function with ``**kwargs`` gets ``num_classes``. An
        instance is copied, and each fit starts from its weights.
    n_classes : int, default=10
        Number of classes; labels are 0 to ``n_classes - 1``.
    in_channels : int, default=1
        Number of image channels.
    image_size : int or tuple of (int, int), default=28
        Height and width of the images in pixels.
    width : float, default=1.0
        Factor on the number of units of every hidden layer.
    max_epochs : int, default=50
        Number of passes over the training set; 100 in the paper's own code, which stops
        early.
    max_batches : int or None, default=None
        Maximum number of batches: training ends with the epoch that reaches it. This
        bounds the training time when there are many samples, such as pseudo-labelled
        ones. If None, there is no such limit.
    lr : float, default=0.001
        Learning rate.
    batch_size : int, default=32
        Number of samples per training step.
    patience : int or None, default=None
        Number of epochs without improvement of the validation loss after which training
        stops. A random fifth of the labels is used for validation, and the weights of
        the best epoch are restored. The paper's own code uses 5. If None, all labels
        are used for training, for ``max_epochs``.
    n_restarts : int, default=1
        Number of fits from scratch, of which the one with the smallest validation loss
        is kept. The paper's own code uses 5. Values > 1 require ``patience``.
    loss_prediction : {"margin", "ranking"} or None, default=None
        Loss that trains an additional head to predict the loss of each sample, which
        Learning Loss and TA-VAAL need. The result is then a
        :class:`LossPredictionClassifier` and also accepts its parameters, such as
        ``loss_layers`` and ``loss_weight``; ``sample_shape`` defaults to
        ``(in_channels, *image_size)``. If None, there is no such head.
    optimizer : {"adam", "sgd"}, type or function, default="adam"
        Optimizer. "sgd" follows the papers on learning loss [2]_: momentum 0.9, weight
        decay 5e-4, and a tenth of ``lr`` in the last fifth of the epochs, as limited by
        ``max_epochs`` and ``max_batches``. These papers use ``lr=0.1``. Classes of
        ``torch.optim`` are accepted too.
    augmentation : {"crop_flip"}, function or None, default=None
        Random change of the images in each training batch; all other batches stay
        unchanged. "crop_flip" is :class:`RandomCropFlip`. A function takes a tensor of
        images and returns one of the same shape.
    device : str or torch.device, default="cpu"
        Device to train on.
    verbose : int, default=0
        Verbosity; 1 prints one line per epoch.
    **kwargs : dict
        Further skorch parameters, such as ``module__dropout=0.2`` or ``callbacks``.
        They override the ones above.

    Returns
    -------
    net : RestartingClassifier
        Unfitted ``skorch.NeuralNetClassifier``. With ``loss_prediction``, a
        :class:`LossPredictionClassifier`.

    Raises
    ------
    InvalidParameterError
        If a parameter is out of range; it is a ValueError.
    TypeError
        If ``module`` is a class but not a subclass of nn.Module, or if neither this
        function nor skorch knows a parameter.

    See Also
    --------
    LeNet5 : The smaller network.
    VGG8 : The larger network.
    ResNet18 : The network of the task-aware experiments.

    Notes
    -----
    All randomness of a fit (weights, split, shuffling, dropout) comes from torch's
    global generator. After ``torch.manual_seed(0)``, every run on a CPU gives the same
    result.

    The split is not stratified, so classes with a single label are not a problem.

    The batches of an epoch have even sizes, since a last batch of few samples costs
    accuracy when labels are few; ``even_batches=False`` turns this off. See
    :class:`RestartingClassifier`.

    Two changes make small nets train faster than with skorch's defaults: each batch is
    taken by a single indexing, and no accuracy is computed after an epoch. Adam is
    torch's fused version. To change this, pass ``dataset``, ``callbacks__valid_acc`` or
    ``optimizer``.

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
    kind = RestartingClassifier if loss_prediction is None else LossPredictionClassifier
    _check_names(kwargs, kind)
    if isinstance(augmentation, str):
        augmentation = _AUGMENTATIONS[augmentation]
    if isinstance(augmentation, type):
        name = augmentation.__name__
        raise ValueError(f"augmentation={name} is a class. Pass an instance, {name}().")
    settings = {
        "criterion": nn.CrossEntropyLoss,
        "optimizer": (
            _OPTIMIZERS[optimizer] if isinstance(optimizer, str) else optimizer
        ),
        "lr": lr,
        "batch_size": batch_size,
        "max_epochs": max_epochs,
        "n_restarts": n_restarts,
        "train_split": None if patience is None else _random_fifth,
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
    settings["callbacks"] = _callbacks(
        kwargs.pop("callbacks", None), patience, loss_prediction, optimizer, max_batches
    )
    module = _MODULES[module] if isinstance(module, str) else module
    if isinstance(module, type) and not issubclass(module, nn.Module):
        raise TypeError(
            f"module={module.__name__} is not a subclass of nn.Module. Pass such a "
            "class, an instance of one, or a function that returns an instance."
        )
    if not isinstance(module, nn.Module):
        shape = {
            "n_classes": n_classes,
            "in_channels": in_channels,
            "image_size": image_size,
            "width": width,
        }
        settings |= _settings_of_shape(module, shape, kwargs)
    if loss_prediction is not None:
        sides = (image_size,) * 2 if isinstance(image_size, Integral) else image_size
        settings |= {
            "loss_prediction": loss_prediction,
            "sample_shape": (in_channels, *sides),
        }
    return kind(module, **(settings | kwargs))


def _check_names(params, kind):
    """Raise for parameters that skorch would reject, but only during the fit."""
    own = inspect.signature(make_classifier).parameters
    of_kind = {
        name
        for base in kind.__mro__
        if issubclass(base, NeuralNet)
        for name in inspect.signature(base.__init__).parameters
    }
    known = (set(own) | of_kind | {"history"}) - {"self", "args", "kwargs"}
    prefixes = {"module", "criterion", "optimizer", *kind.prefixes_}
    for name in params:
        prefix, dunder, _ = name.partition("__")
        is_nested = dunder and prefix in prefixes
        if not (name in known or is_nested or name.endswith("_")):
            raise TypeError(
                f"make_classifier and {kind.__name__} have no parameter {name!r}; "
                f"prefixes of nested parameters are "
                f"{', '.join(f'{p}__' for p in sorted(prefixes))}."
                f"{did_you_mean(name, known)}"
            )


def _callbacks(own, patience, loss_prediction, optimizer, max_batches):
    """Return the callbacks of a training, including the user's own, or None."""
    if isinstance(own, str):  # skorch's "disable"
        for name, value in {"max_batches": max_batches, "patience": patience}.items():
            if value is not None:
                raise ValueError(
                    f"{name}={value} needs a callback, but callbacks={own!r}. "
                    "Remove one of them."
                )
        return own
    callbacks = []
    if patience is not None:
        kind = EarlyStopping if loss_prediction is None else StoppingWithHead
        stopping = kind(patience=patience, threshold=0, load_best=True)
        callbacks.append(("early_stopping", stopping))
    if optimizer == "sgd":
        callbacks.append(("late_drop", _LateDrop(max_batches)))
    callbacks += own or []
    if max_batches is not None:  # last, so that the others see the last epoch
        callbacks.append(("batch_limit", _BatchLimit(max_batches)))
    return callbacks or None


def _settings_of_shape(module, shape, given):
    """Return the parameters of a class or function that determine its shape."""
    if module not in _MODULES.values() and shape["width"] == 1:
        del shape["width"]  # a user's own width may be a number of units
    names = _names_of_parameters(module, shape)
    settings = {f"module__{names[k]}": v for k, v in shape.items() if k in names}
    if "n_classes" in names:
        # The columns of predict_proba, even if a class has no label yet.
        n_classes = given.get(f"module__{names['n_classes']}", shape["n_classes"])
        settings["classes"] = range(n_classes)
    return settings


def _names_of_parameters(module, wanted):
    """Map parameters of `make_classifier` to the names used by a class or function.

    Functions of torchvision and timm accept ``num_classes`` through ``**kwargs``.
    Parameters already set by a ``functools.partial`` are not set again.
    """
    parameters = inspect.signature(module).parameters
    is_open = any(p.kind is p.VAR_KEYWORD for p in parameters.values())
    known = set(parameters)
    if isinstance(module, partial):
        known -= set(module.keywords)
        is_open = is_open and "num_classes" not in module.keywords
    names = {}
    for name in wanted:
        for other in (name, _OTHER_NAMES.get(name)):
            if other in known:
                names.setdefault(name, other)
    if is_open and not isinstance(module, type):
        names.setdefault("n_classes", _OTHER_NAMES["n_classes"])
    return names
