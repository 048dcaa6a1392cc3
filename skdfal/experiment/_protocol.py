"""What an experiment does, as data: Protocol, its data sets, its seeds."""

import copy
import dataclasses
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from numbers import Real

import numpy as np
from sklearn.utils import Bunch

from skdfal import datasets
from skdfal._utils._validation import COUNT, check_values
from skdfal.experiment._names import find, find_strategy
from skdfal.nets import make_classifier
from skdfal.strategies import STRATEGIES, describe

DATASETS = {
    "digits": datasets.load_digits,
    "mnist": datasets.fetch_mnist,
    "fashion_mnist": datasets.fetch_fashion_mnist,
    "fashion_shoe_bag": datasets.fetch_fashion_shoe_bag,
    "quickdraw": datasets.fetch_quickdraw,
    "quickdraw_animals": partial(
        datasets.fetch_quickdraw, classes=("bird", "cat", "dog", "fish")
    ),
    "cifar10": datasets.fetch_cifar10,
    "cifar100": datasets.fetch_cifar100,
    "svhn": datasets.fetch_svhn,
    "caltech101": datasets.fetch_caltech101,
    "caltech256": datasets.fetch_caltech256,
    "image_folder": datasets.load_image_folder,
}

NETS = ("lenet5", "vgg8", "resnet18")
_NETS = {name: name for name in NETS}  # as make_classifier takes them

# The strategies of the DFAL paper, and the diverse DFAL that it leaves open.
PAPER_STRATEGIES = tuple(
    name
    for name in STRATEGIES
    if describe(name).in_dfal_paper or name == "dfal_diverse"
)

_DATA = ("X_train", "y_train", "X_test", "y_test", "target_names")

_N_MARKS = 4

_last = {"wanted": None, "data": None}  # the data set that was loaded last

# Fields that folders made by earlier versions do not have.
_YOUNGER = {
    "initial": "random",
    "augmenter_params": {},
    "candidates": {},
    "net_params": {},
    "imbalance": 1,
}

_COUNTS = ("n_initial", "max_annotations", "max_epochs", "n_restarts", "batch_size")
_COUNTS_OR_NONE = (
    *("n_pool", "n_test", "n_validation"),
    *("n_candidates", "max_batches", "patience"),
)


@dataclass(frozen=True)
class Protocol:
    """Everything that determines an experiment but its seed.

    Data set, net and strategies are given by name, so that another process finds them
    too. ``"module:name"`` names one of your own, as an import would.

    Parameters
    ----------
    dataset : str, default="digits"
        A name in ``DATASETS``; or ``"module:function"``, a function that returns a
        Bunch with ``X_train``, ``y_train``, ``X_test``, ``y_test`` and
        ``target_names``, labels being positions in the last. With a ``digest``, a text,
        a run is resumed only on data of the same digest.
    dataset_params : dict, default={}
        Parameters of that function, such as ``{"classes": ["cat", "dog"]}``;
        "image_folder" needs ``{"folder": "pictures"}``.
    net : str, default="lenet5"
        The network: "lenet5", "vgg8", "resnet18"; or ``"module:name"``, a module class
        or a function that makes one, as :func:`skdfal.nets.make_classifier` takes it.
        Where samples are rows of a table it is called with their number of values as
        ``n_features``.
    width : float, default=1.0
        Factor on the width of its layers; 1 is the paper's.
    n_pool : int or None, default=None
        Samples of the training set a trial may choose from, drawn for each trial,
        beside the initial ones. None takes all.
    n_test : int or None, default=None
        Samples of the test set to score on, the same in all trials. None takes all.
    n_validation : int or None, default=None
        Samples of the training set that take the place of the test set, the same in
        all trials: settings chosen by them leave the test set unseen.
    n_initial : int, default=10
        Annotations before the first training.
    initial : {"random", "cluster"}, default="random"
        How these samples are chosen: by chance, or the most typical of as many
        clusters of the pool.
    n_instances : int or tuple of (int, int), default=10
        Annotations per round, n_query; or pairs ``(until, n)``: n per round until there
        are so many annotations.
    max_annotations : int, default=100
        Annotations at the end, the initial ones included.
    n_candidates : int or None, default=800
        Candidates K of the strategies that do not look at the whole pool, those whose
        ``describe(name).n_candidates`` is a number; None shows it to all.
    candidates : dict of str to int, default={}
        Another number of candidates for single strategies, those included that
        otherwise look at the whole pool, such as ``{"uncertainty": 300}``.
    max_epochs : int, default=50
        Epochs of each training, at most.
    max_batches : int or None, default=None
        Batches after which a training ends with the epoch; None sets no bound.
    patience : int or None, default=None
        Epochs without improvement before training stops early; None never stops.
    n_restarts : int, default=1
        Trainings in each round, of which the best is kept.
    lr : float, default=0.001
        Learning rate.
    batch_size : int, default=32
        Samples in each step.
    query_params : dict of str to dict, default={}
        Parameters of single strategies, such as ``{"bald": {"n_draws": 10}}``.
    augmenter_params : dict of str to dict, default={}
        Parameters of what single strategies add to the training set.
    net_params : dict, default={}
        Further parameters of :func:`skdfal.nets.make_classifier`, such as
        ``{"optimizer": "sgd", "augmentation": "crop_flip"}``.
    imbalance : float, default=1
        How many times as many training samples the frequent classes have as the rare
        ones, by :func:`skdfal.datasets.make_imbalanced`; 1 keeps them all.
    marks : tuple of int, default=()
        Annotations at which the table shows the accuracy; empty for four of them,
        evenly spread.

    Raises
    ------
    ValueError
        If a value is out of its range or a name unknown.

    Examples
    --------
    >>> from skdfal.experiment import Protocol
    >>> Protocol(n_instances=((30, 10), (70, 20)), max_annotations=80).rounds()
    [10, 20, 30, 50, 70, 80]
    """

    dataset: str = "digits"
    dataset_params: dict = field(default_factory=dict)
    net: str = "lenet5"
    width: float = 1.0
    n_pool: int | None = None
    n_test: int | None = None
    n_validation: int | None = None
    n_initial: int = 10
    initial: str = "random"
    n_instances: int | tuple = 10
    max_annotations: int = 100
    n_candidates: int | None = 800
    candidates: dict = field(default_factory=dict)
    max_epochs: int = 50
    max_batches: int | None = None
    patience: int | None = None
    n_restarts: int = 1
    lr: float = 0.001
    batch_size: int = 32
    query_params: dict = field(default_factory=dict)
    augmenter_params: dict = field(default_factory=dict)
    net_params: dict = field(default_factory=dict)
    imbalance: float = 1
    marks: tuple = ()

    def __post_init__(self):
        self._check_names()
        self._check_params()
        self._check_numbers()
        self._check_n_instances()
        self._check_marks()

    def _check_marks(self):
        given = self.marks
        if (
            not isinstance(given, list | tuple)
            or not all(map(COUNT.is_satisfied_by, given))
            or sorted(set(given)) != list(given)
        ):
            raise ValueError(
                f"marks={given!r} should be a tuple of increasing integers >= 1."
            )
        object.__setattr__(self, "marks", tuple(map(int, given)))
        unknown = sorted(set(given) - set(self.rounds())) if given else []
        if unknown:
            raise ValueError(
                f"marks={unknown} should be among the annotation counts of the rounds: "
                f"{_shortened(self.rounds())}."
            )

    def rounds(self):
        """Return the number of annotations at each training.

        Returns
        -------
        rounds : list of int
            From ``n_initial`` to ``max_annotations``.
        """
        schedule = self.n_instances
        if isinstance(schedule, int):
            schedule = [(self.max_annotations, schedule)]
        rounds = [self.n_initial]
        for until, n in [*schedule, (self.max_annotations, schedule[-1][1])]:
            until = min(until, self.max_annotations)
            while rounds[-1] < until:
                rounds.append(min(rounds[-1] + n, until))
        return rounds

    def table_marks(self):
        """Return the annotation counts that a table shows.

        Returns
        -------
        marks : tuple of int
            ``marks``, or where there are none up to four of the rounds.
        """
        if self.marks:
            return self.marks
        wanted = [self.max_annotations * i / _N_MARKS for i in range(1, _N_MARKS + 1)]
        marks = [next(r for r in self.rounds() if r >= mark) for mark in wanted]
        return tuple(dict.fromkeys(marks))

    def settings(self):
        """Return what two runs must share to belong to one experiment.

        Returns
        -------
        settings : dict
            All fields but ``marks``, which change nothing but the table, and but
            the younger fields where they have their defaults, as older folders do not
            name them; it is equal to itself after a way through JSON.

        Raises
        ------
        ValueError
            If there is a parameter that JSON cannot hold.
        """
        settings = dataclasses.asdict(self)
        del settings["marks"]
        for name, default in _YOUNGER.items():
            if settings[name] == default:
                del settings[name]
        try:
            return json.loads(json.dumps(settings))
        except TypeError as error:
            raise ValueError(
                f"What is known of an experiment goes to a file: {error}. Give "
                "parameters as numbers, texts, lists and dicts of such."
            ) from error

    def make_net(self, data, device="cpu", strategy=None):
        """Return the unfitted classifier for a data set.

        Parameters
        ----------
        data : Bunch
            What :func:`load_data` returned.
        device : str, default="cpu"
            Where to train.
        strategy : str, default=None
            The strategy that is to ask it: what it needs of a net is added, a head or
            dropout, unless ``net_params`` of the protocol say otherwise.

        Returns
        -------
        net : RestartingClassifier
            The classifier.
        """
        wanted = {}
        if strategy is not None:
            wanted = find_strategy(strategy).params_for(self.net)
        n_channels, *image_size = data.X_train.shape[1:]
        if image_size:
            shape = {"in_channels": n_channels, "image_size": tuple(image_size)}
        else:
            shape = {"module__n_features": n_channels}
        net_params = wanted | self.net_params
        if net_params.get("loss_prediction"):
            shape["sample_shape"] = data.X_train.shape[1:]
        return make_classifier(
            find("net", self.net, _NETS),
            n_classes=len(data.target_names),
            width=self.width,
            max_epochs=self.max_epochs,
            max_batches=self.max_batches,
            patience=self.patience,
            n_restarts=self.n_restarts,
            lr=self.lr,
            batch_size=self.batch_size,
            device=device,
            **(shape | net_params),
        )

    def candidates_of(self, strategy):
        """Return how many candidates a strategy sees, None for the whole pool.

        Parameters
        ----------
        strategy : str
            Its name.

        Returns
        -------
        n_candidates : int or None
            K, or None.
        """
        sees_all = find_strategy(strategy).n_candidates is None
        usual = None if sees_all else self.n_candidates
        return self.candidates.get(
            strategy, self.candidates.get(_bare(strategy), usual)
        )

    def params_of(self, strategy):
        """Return the query parameters of a strategy, None where there are none.

        Parameters
        ----------
        strategy : str
            Its name; with an addition, ``"dfal+copies"``, it has those of the strategy
            alone unless it has its own.

        Returns
        -------
        params : dict or None
            The parameters.
        """
        usual = self.query_params.get(_bare(strategy))
        return self.query_params.get(strategy, usual)

    def check_data(self, data):
        """Raise a ValueError where the data set has too few samples.

        Parameters
        ----------
        data : Bunch
            What :func:`load_data` returned.
        """
        n_samples = len(data.X_train)
        n_needed = max(self.max_annotations, self.n_initial + (self.n_pool or 0))
        if n_needed > n_samples:
            raise ValueError(
                f"max_annotations={self.max_annotations}, and n_initial="
                f"{self.n_initial} with n_pool={self.n_pool}, should be <= the "
                f"{n_samples} training samples of {self.dataset}."
            )
        kind = "test" if self.n_validation is None else "validation"
        if self.n_test is not None and self.n_test > len(data.X_test):
            raise ValueError(
                f"n_test={self.n_test} should be <= the {len(data.X_test)} {kind} "
                f"samples of {self.dataset}."
            )

    def _check_names(self):
        find("dataset", self.dataset, DATASETS)
        find("net", self.net, _NETS)

    def _check_params(self):
        if not isinstance(self.dataset_params, dict):
            raise ValueError(
                f"dataset_params={self.dataset_params!r} should be a dict of the "
                "fetcher's parameters."
            )
        for field_name in ("query_params", "augmenter_params"):
            given = getattr(self, field_name)
            if not isinstance(given, dict) or not all(
                isinstance(params, dict) for params in given.values()
            ):
                raise ValueError(
                    f"{field_name}={given!r} should be a dict of strategies to dicts, "
                    'such as {"bald": {"n_draws": 10}}.'
                )
        if not isinstance(self.net_params, dict):
            raise ValueError(
                f"net_params={self.net_params!r} should be a dict of parameters of "
                'make_classifier, such as {"optimizer": "sgd"}.'
            )
        for name, params in self.query_params.items():
            check_values(find_strategy(name).function, params)
        if not isinstance(self.candidates, dict) or not all(
            map(COUNT.is_satisfied_by, self.candidates.values())
        ):
            raise ValueError(
                f"candidates={self.candidates!r} should be a dict of strategies to "
                'integers >= 1, such as {"uncertainty": 300}.'
            )
        for name in self.candidates:
            find_strategy(name)
        for name in self.augmenter_params:
            if find_strategy(name).augmenter is None:
                raise ValueError(
                    f"augmenter_params has {name!r}, a strategy that adds nothing to "
                    "the training set."
                )

    def _check_numbers(self):
        if self.initial not in ("random", "cluster"):
            raise ValueError(
                f"initial={self.initial!r} should be 'random' or 'cluster'."
            )
        for name in (*_COUNTS, *_COUNTS_OR_NONE):
            value = getattr(self, name)
            if value is None and name in _COUNTS_OR_NONE:
                continue
            if not COUNT.is_satisfied_by(value):
                raise ValueError(f"{name}={value!r} should be an integer >= 1.")
            object.__setattr__(self, name, int(value))  # NumPy's would not go to JSON
        for name in ("width", "lr", "imbalance"):
            value = getattr(self, name)
            is_number = isinstance(value, Real) and not isinstance(value, bool)
            if not (is_number and 0 < value < math.inf):
                raise ValueError(f"{name}={value!r} should be a finite number > 0.")
            object.__setattr__(self, name, float(value))
        if self.imbalance < 1:
            raise ValueError(f"imbalance={self.imbalance:g} should be >= 1.")
        if self.n_initial > self.max_annotations:
            raise ValueError(
                f"n_initial={self.n_initial} should be <= max_annotations="
                f"{self.max_annotations}."
            )
        if self.n_pool is not None and (
            self.n_pool < self.max_annotations - self.n_initial
        ):
            raise ValueError(
                f"n_pool={self.n_pool} should be >= max_annotations - n_initial = "
                f"{self.max_annotations - self.n_initial}."
            )
        if self.n_restarts > 1 and self.patience is None:
            raise ValueError(
                f"n_restarts={self.n_restarts} needs patience, whose validation split "
                "tells which restart is best."
            )
        if self.n_initial < 2 and self.patience is not None:
            raise ValueError(
                f"n_initial={self.n_initial} should be >= 2 with patience="
                f"{self.patience}, whose validation split takes one of them."
            )

    def _check_n_instances(self):
        """Check the schedule; from TOML and JSON its tuples come as lists."""
        given = self.n_instances
        if COUNT.is_satisfied_by(given):
            object.__setattr__(self, "n_instances", int(given))
            return
        try:
            pairs = tuple((until, n) for until, n in given)
        except (TypeError, ValueError):
            pairs = ()
        if not pairs or not all(
            COUNT.is_satisfied_by(value) for pair in pairs for value in pair
        ):
            raise ValueError(
                f"n_instances={given!r} should be an integer >= 1, or pairs (until, n) "
                "of such."
            )
        borders = [until for until, _ in pairs]
        if sorted(set(borders)) != borders:
            raise ValueError(f"n_instances={given!r} should have increasing borders.")
        pairs = tuple((int(until), int(n)) for until, n in pairs)
        object.__setattr__(self, "n_instances", pairs)


def _bare(strategy):
    """Return the name of a strategy without its addition."""
    return strategy.partition("+")[0]


def derive_seed(*names):
    """Return a seed that depends on names and nothing else.

    Parameters
    ----------
    *names : object
        What the seed is for, such as a data set, a net and the number of a trial.

    Returns
    -------
    seed : int
        In [0, 2**31), the same on every machine and in every version.

    Examples
    --------
    >>> from skdfal.experiment import derive_seed
    >>> derive_seed(0, "mnist", "lenet5", 1) == derive_seed(0, "mnist", "lenet5", 1)
    True
    """
    digest = hashlib.sha256("\n".join(map(str, names)).encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1


def load_data(protocol):
    """Load the data set of a protocol, and keep the last one loaded.

    Parameters
    ----------
    protocol : Protocol
        The experiment.

    Returns
    -------
    data : Bunch
        With ``X_train``, ``y_train``, ``X_test``, ``y_test``, ``target_names``; with
        ``n_validation`` the test samples are training samples kept apart.

    Examples
    --------
    >>> from skdfal.experiment import Protocol, load_data
    >>> load_data(Protocol("digits")).X_train.shape
    (1297, 1, 24, 24)
    """
    names = ("dataset", "dataset_params", "n_validation", "imbalance")
    wanted = [getattr(protocol, name) for name in names]
    if _last["wanted"] != wanted:
        _last.update(data=_load(*wanted), wanted=copy.deepcopy(wanted))
    return _last["data"]


def load_data_anew(protocol):
    """Load the data set of a protocol as it is now, if its files may have changed.

    Parameters
    ----------
    protocol : Protocol
        The experiment.

    Returns
    -------
    data : Bunch
        As of :func:`load_data`, which keeps it; only data with a ``digest`` are loaded
        a second time.
    """
    if _last["data"] is not None and "digest" in _last["data"]:
        _last.update(wanted=None, data=None)
    return load_data(protocol)


def _load(dataset, params, n_validation, imbalance):
    data = find("dataset", dataset, DATASETS)(**params)
    has = data if isinstance(data, Mapping) else {}
    absent = [name for name in _DATA if name not in has]
    if absent:
        raise ValueError(
            f"dataset={dataset!r} returned a {type(data).__name__} without "
            f"{', '.join(absent)}. It should return a Bunch with {', '.join(_DATA)}."
        )
    data = Bunch(**data)
    _check_samples(data, dataset)
    if n_validation is not None:
        data = _with_validation(data, dataset, n_validation)
    if imbalance > 1:
        data.X_train, data.y_train = datasets.make_imbalanced(
            data.X_train, data.y_train, imbalance
        )
    return data


def _check_samples(data, dataset):
    """Raise unless samples are arrays, and labels positions in ``target_names``."""
    n_classes = len(data.target_names)
    for part in ("train", "test"):
        X, y = data[f"X_{part}"], data[f"y_{part}"]
        are_arrays = hasattr(X, "shape") and hasattr(y, "dtype")
        if not are_arrays or y.shape != X.shape[:1]:
            raise ValueError(
                f"dataset={dataset!r} returned X_{part}, a {type(X).__name__} of shape "
                f"{np.shape(X)}, and y_{part}, a {type(y).__name__} of {np.shape(y)}. "
                "They should be arrays of as many samples and labels."
            )
        if y.dtype.kind not in "iu" or not ((y >= 0) & (y < n_classes)).all():
            raise ValueError(
                f"dataset={dataset!r} returned y_{part}={y!r}. Labels should be "
                f"positions in its target_names, integers in [0, {n_classes})."
            )


def _with_validation(data, dataset, n_validation):
    """Put training samples in the place of the test set."""
    n_samples = len(data.X_train)
    if n_validation >= n_samples:
        raise ValueError(
            f"n_validation={n_validation} should be < {n_samples}, the number of "
            f"training samples of {dataset}."
        )
    rng = np.random.RandomState(derive_seed(dataset, "validation"))
    order = rng.permutation(n_samples)
    apart, kept = order[:n_validation], order[n_validation:]
    X, y = data.X_train, data.y_train
    return Bunch(
        **data
        | {
            "X_train": X[kept],
            "y_train": y[kept],
            "X_test": X[apart],
            "y_test": y[apart],
        }
    )


def _shortened(rounds):
    if len(rounds) <= 12:
        return ", ".join(map(str, rounds))
    return f"{', '.join(map(str, rounds[:10]))}, ..., {rounds[-1]}"
