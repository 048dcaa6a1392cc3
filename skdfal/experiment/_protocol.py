"""An experiment described as data: all its settings, checked, but the seed."""

import dataclasses
import json
import math
from dataclasses import dataclass, field
from numbers import Real
from pathlib import Path

from skdfal._utils._validation import COUNT, check_values
from skdfal.experiment._data import DATASETS
from skdfal.experiment._names import find, find_strategy
from skdfal.nets import make_classifier
from skdfal.strategies import STRATEGIES, describe

NETS = ("lenet5", "vgg8", "resnet18")
_NETS = {name: name for name in NETS}  # names for make_classifier

# The strategies of the DFAL paper, and diverse DFAL, a question that it leaves open.
PAPER_STRATEGIES = tuple(
    name
    for name in STRATEGIES
    if describe(name).in_dfal_paper or name == "dfal_diverse"
)

_N_MARKS = 4

_COUNTS = ("n_initial", "max_annotations", "max_epochs", "n_restarts", "batch_size")
_COUNTS_OR_NONE = (
    *("n_pool", "n_test", "n_validation"),
    *("n_candidates", "max_batches", "patience"),
)


@dataclass(frozen=True)
class Protocol:
    """All settings of an experiment except its seed.

    Data set, network and strategies are given by name, so that other processes can
    find them. Use ``"module:name"`` for your own, as in an import.

    Parameters
    ----------
    dataset : str, default="digits"
        Name of a data set in ``DATASETS``, or ``"module:function"`` of your own
        function. It returns a Bunch with ``X_train``, ``y_train``, ``X_test``,
        ``y_test`` and ``target_names``; samples and labels are NumPy arrays, and labels
        are indices into ``target_names``. A run is resumed only on the same samples and
        labels, whatever ``dataset_params``: your function must not draw at random
        without a fixed seed. If the Bunch has a ``digest``, a string that identifies
        them, it saves the time to compute one.
    dataset_params : dict, default={}
        Parameters of the function that loads the data set, such as
        ``{"classes": ["cat", "dog"]}``; "image_folder" needs
        ``{"folder": "pictures"}``.
    net : str, default="lenet5"
        The network: "lenet5", "vgg8" or "resnet18"; or ``"module:name"`` of a module
        class, or of a function that makes a module, as in
        :func:`skdfal.nets.make_classifier`. If samples are rows of a table, it is
        called with their number of values as ``n_features``.
    width : float, default=1.0
        Factor on the width of the network's layers; 1 is the paper's width.
    n_pool : int or None, default=None
        Number of training samples in the pool, in addition to the initial ones. They
        are drawn for each trial. If None, all.
    n_test : int or None, default=None
        Number of test samples to score on, the same in all trials. If None, all.
    n_validation : int or None, default=None
        Number of training samples that replace the test set, the same in all trials.
        Use it to choose settings without looking at the test set. If None, the test
        set itself is used.
    n_initial : int, default=10
        Number of samples annotated before the first training.
    initial : {"random", "cluster"}, default="random"
        How the initial samples are chosen: at random, or as the most typical sample of
        each of ``n_initial`` clusters of the pool.
    n_instances : int or tuple of (int, int), default=10
        Number of samples to query per round, the paper's n_query. Pairs ``(until, n)``
        query n samples per round until there are ``until`` annotations.
    max_annotations : int, default=100
        Annotation budget, including the initial samples.
    n_candidates : int or None, default=800
        Number of candidates, the paper's K, for the strategies that do not score the
        whole pool, that is, those whose ``describe(name).n_candidates`` is a number. If
        None, all strategies score the whole pool.
    candidates : dict of str to int, default={}
        Number of candidates for single strategies, such as ``{"uncertainty": 300}``. It
        also applies to strategies that otherwise score the whole pool.
    max_epochs : int, default=50
        Maximum number of epochs of each training.
    max_batches : int or None, default=None
        Number of batches after which a training stops, at the end of the epoch. If
        None, there is no limit.
    patience : int or None, default=None
        Number of epochs without improvement after which a training stops. If None,
        there is no early stopping.
    n_restarts : int, default=1
        Number of trainings in each round, of which the best is kept.
    lr : float, default=0.001
        Learning rate.
    batch_size : int, default=32
        Number of samples per training step.
    even_batches : bool, default=True
        Whether the batches of an epoch are of even size, as in
        :class:`skdfal.nets.RestartingClassifier`. If False, the last batch takes what
        is left, as in the code of the papers; ``skdfal reproduce`` does the same.
    query_params : dict of str to dict, default={}
        Query parameters of single strategies, such as ``{"bald": {"n_draws": 10}}``.
    augmenter_params : dict of str to dict, default={}
        Parameters of the augmenters of single strategies.
    net_params : dict, default={}
        Further parameters of :func:`skdfal.nets.make_classifier`, such as
        ``{"optimizer": "sgd", "augmentation": "crop_flip"}``.
    imbalance : float, default=1
        Factor by which :func:`skdfal.datasets.make_imbalanced` reduces the rare
        classes; 1 keeps all samples.
    marks : tuple of int, default=()
        Numbers of annotations at which the table shows the accuracy. If empty, four
        evenly spread ones.

    Raises
    ------
    ValueError
        If a value is out of its range, or a name is unknown.

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
    even_batches: bool = True
    query_params: dict = field(default_factory=dict)
    augmenter_params: dict = field(default_factory=dict)
    net_params: dict = field(default_factory=dict)
    imbalance: float = 1
    marks: tuple = ()

    def __post_init__(self):
        self._check_names()
        self._check_params()
        self._check_strategies()
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
                f"marks={unknown} should be among the numbers of annotations: "
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
        """Return the numbers of annotations that a table shows.

        Returns
        -------
        marks : tuple of int
            ``marks``, or up to four of the rounds if ``marks`` is empty.
        """
        if self.marks:
            return self.marks
        wanted = [self.max_annotations * i / _N_MARKS for i in range(1, _N_MARKS + 1)]
        marks = [next(r for r in self.rounds() if r >= mark) for mark in wanted]
        return tuple(dict.fromkeys(marks))

    def settings(self):
        """Return the settings that all runs of one experiment must share.

        Returns
        -------
        settings : dict
            All fields except ``marks``, which affect only the table. The dict survives
            a round trip through JSON unchanged.

        Raises
        ------
        ValueError
            If JSON cannot represent a parameter.
        """
        settings = dataclasses.asdict(self)
        del settings["marks"]
        try:
            return json.loads(json.dumps(settings))
        except TypeError as error:
            raise ValueError(
                f"The settings of an experiment are saved as JSON: {error}. Give "
                "parameters as numbers, strings, and lists or dicts of these."
            ) from error

    def make_net(self, data, device="cpu", strategy=None):
        """Return the unfitted classifier for a data set.

        Parameters
        ----------
        data : Bunch
            Result of :func:`load_data`.
        device : str, default="cpu"
            Device to train on.
        strategy : str, default=None
            Strategy that will query the network. What the strategy needs of the
            network is added, such as a head or dropout, unless ``net_params`` of the
            protocol say otherwise.

        Returns
        -------
        net : RestartingClassifier
            The classifier.
        """
        if self.net in NETS:
            self._check_images(data.X_train.shape[1:])
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
            even_batches=self.even_batches,
            device=device,
            **(shape | net_params),
        )

    def _check_images(self, shape):
        """Raise if samples of this shape are not images with the channels first."""
        is_last = len(shape) == 3 and shape[2] in (1, 3) and shape[0] not in (1, 3)
        if len(shape) == 3 and not is_last:
            return
        hint = (
            "np.moveaxis(X, -1, 1) moves the channels"
            if is_last
            else "X[:, None] adds a channel to grey images"
            if len(shape) == 2
            else 'net="skdfal:MLP" takes rows of a table'
        )
        raise ValueError(
            f"The samples of {self.data_name} have shape {shape}, but net={self.net!r} "
            f"takes images of shape (n_channels, height, width): {hint}."
        )

    def candidates_of(self, strategy):
        """Return the number of candidates of a strategy, or None for the whole pool.

        Parameters
        ----------
        strategy : str
            Name of the strategy.

        Returns
        -------
        n_candidates : int or None
            Number of candidates, the paper's K, or None.
        """
        sees_all = find_strategy(strategy).n_candidates is None
        usual = None if sees_all else self.n_candidates
        return _of_strategy(self.candidates, strategy, usual)

    def params_of(self, strategy):
        """Return the query parameters of a strategy, or None if there are none.

        Parameters
        ----------
        strategy : str
            Name of the strategy. With an addition, as in ``"dfal+copies"``, it has its
            own parameters, or else those of the strategy without the addition.

        Returns
        -------
        params : dict or None
            The parameters.
        """
        return _of_strategy(self.query_params, strategy)

    def check_data(self, data):
        """Raise a ValueError if the data set has too few samples.

        Parameters
        ----------
        data : Bunch
            Result of :func:`load_data`.
        """
        n_samples, n_scored = len(data.X_train), len(data.X_test)
        kind, name = self.scored_on, self.data_name
        there = (
            f"the {n_samples} training samples of {name}, whose {kind} set has "
            f"{n_scored} more"
        )
        if self.max_annotations > n_samples:
            raise ValueError(
                f"max_annotations={self.max_annotations} is more than {there}. Set "
                f"max_annotations to {n_samples} or less."
            )
        if self.n_initial + (self.n_pool or 0) > n_samples:
            raise ValueError(
                f"n_initial={self.n_initial} and n_pool={self.n_pool} are together "
                f"more than {there}. Make n_pool smaller."
            )
        if self.n_test is not None and self.n_test > n_scored:
            raise ValueError(
                f"n_test={self.n_test} should be <= the {n_scored} {kind} samples of "
                f"{name}."
            )

    @property
    def data_name(self):
        """Name of the data set in messages: that of the folder, if it is one."""
        folder = self.dataset_params.get("folder")
        return Path(folder).name if self.dataset == "image_folder" else self.dataset

    @property
    def scored_on(self):
        """Kind of the samples on which networks are scored: "test" or "validation"."""
        return "test" if self.n_validation is None else "validation"

    def _check_names(self):
        find("dataset", self.dataset, DATASETS)
        find("net", self.net, _NETS)

    def _check_params(self):
        """Check the shapes of the fields that are dicts."""
        if not isinstance(self.dataset_params, dict):
            raise ValueError(
                f"dataset_params={self.dataset_params!r} should be a dict of "
                "parameters of the function that loads the data set."
            )
        if not isinstance(self.net_params, dict):
            raise ValueError(
                f"net_params={self.net_params!r} should be a dict of parameters of "
                'make_classifier, such as {"optimizer": "sgd"}.'
            )
        fields = {field.name for field in dataclasses.fields(self)}
        if twice := sorted(fields & self.net_params.keys()):
            raise ValueError(
                f"net_params has {', '.join(twice)}, which a protocol has as a "
                f"parameter of its own: pass {twice[0]}=... to Protocol."
            )
        for name in ("query_params", "augmenter_params"):
            given = getattr(self, name)
            if not isinstance(given, dict) or not all(
                isinstance(params, dict) for params in given.values()
            ):
                raise ValueError(
                    f"{name}={given!r} should map strategies to dicts, "
                    'such as {"bald": {"n_draws": 10}}.'
                )
        if not isinstance(self.candidates, dict) or not all(
            map(COUNT.is_satisfied_by, self.candidates.values())
        ):
            raise ValueError(
                f"candidates={self.candidates!r} should map strategies to integers "
                '>= 1, such as {"uncertainty": 300}.'
            )

    def _check_strategies(self):
        """Check that there are the strategies that those dicts name."""
        for name, params in self.query_params.items():
            check_values(find_strategy(name).function, params)
        for name in self.candidates:
            find_strategy(name)
        for name in self.augmenter_params:
            if find_strategy(name).augmenter is None:
                raise ValueError(
                    f"augmenter_params has {name!r}, a strategy that adds nothing to "
                    "the training set."
                )

    def _check_numbers(self):
        if not isinstance(self.even_batches, bool):
            raise ValueError(
                f"even_batches={self.even_batches!r} should be True or False."
            )
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
            object.__setattr__(self, name, int(value))  # JSON takes no NumPy integers
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
                f"n_restarts={self.n_restarts} needs patience: its validation split "
                "tells which restart is best."
            )
        if self.n_initial < 2 and self.patience is not None:
            raise ValueError(
                f"n_initial={self.n_initial} should be >= 2 with patience="
                f"{self.patience}: the validation split takes one of them."
            )

    def _check_n_instances(self):
        """Check the schedule; TOML and JSON give lists instead of tuples."""
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
                "of such integers."
            )
        borders = [until for until, _ in pairs]
        if sorted(set(borders)) != borders:
            raise ValueError(
                f"n_instances={given!r} should have increasing values of until."
            )
        pairs = tuple((int(until), int(n)) for until, n in pairs)
        object.__setattr__(self, "n_instances", pairs)


def _of_strategy(values, strategy, usual=None):
    """Return the value of a strategy, or of its name without an addition."""
    bare, _, _ = strategy.partition("+")
    return values.get(strategy, values.get(bare, usual))


def _shortened(rounds):
    if len(rounds) <= 12:
        return ", ".join(map(str, rounds))
    return f"{', '.join(map(str, rounds[:10]))}, ..., {rounds[-1]}"
