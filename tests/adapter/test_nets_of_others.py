"""Nets and tools as their users have them: what each answers, and what it is told."""

import copy
import warnings
from types import SimpleNamespace

import numpy as np
import pytest
import skorch
import torch
from modAL.models import ActiveLearner, Committee
from scipy.special import entr, softmax
from sklearn.calibration import CalibratedClassifierCV
from sklearn.ensemble import BaggingClassifier, RandomForestClassifier, VotingClassifier
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LinearRegression, SGDClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from skorch import NeuralNetBinaryClassifier, NeuralNetClassifier
from torch import nn

import skdfal
from skdfal import ActiveLearningClassifier, RestartingClassifier, make_classifier
from skdfal.adapter import proba_of_classes
from skdfal.strategies import STRATEGIES
from tests.adversarial_nets import small_cnn
from tests.conftest import N_CLASSES, make_net, make_net_for, make_net_with_head
from tests.strategy_cases import CASES as ALL_CASES
from tests.strategy_cases import cheap_params
from tests.test_common import sample

CASES = [case for case in ALL_CASES if not case.needs_head]  # these nets have none

all_cases = pytest.mark.parametrize("case", CASES, ids=str)
of_probabilities = pytest.mark.parametrize(
    "case", [c for c in CASES if not c.needs_net], ids=str
)
of_nets = pytest.mark.parametrize("case", [c for c in CASES if c.needs_net], ids=str)
attacks = pytest.mark.parametrize(
    "case", [c for c in CASES if c.needs_gradients_of_x], ids=str
)


def entropy_of(net, X):
    return entr(net.predict_proba(X).astype(float)).sum(1)


# Modules


class InPlace(nn.Sequential):
    def __init__(self, n_classes=4, seed=0):
        super().__init__(nn.ReLU(inplace=True), small_cnn(n_classes, seed))

    def forward(self, x):
        x.sub_(0.5)
        return super().forward(x)


@all_cases
@pytest.mark.parametrize("kind", ["array", "tensor", "memmap"])
def test_a_module_that_works_in_place_leaves_the_pool(case, kind, pool, tmp_path):
    net = make_net(module=InPlace).initialize()
    X = pool.copy()
    if kind == "tensor":
        X = torch.from_numpy(X)
    elif kind == "memmap":
        np.save(tmp_path / "pool.npy", X)
        X = np.load(tmp_path / "pool.npy", mmap_mode="r+")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        sample(case, net, X)
    np.testing.assert_array_equal(np.asarray(X), pool)
    if kind == "memmap":
        X.flush()
        np.testing.assert_array_equal(np.load(tmp_path / "pool.npy"), pool)


class HuggingFace(nn.Module):
    """Answers as transformers do: an object with a field for the logits."""

    def __init__(self, n_classes=4, seed=0):
        super().__init__()
        self.net = small_cnn(n_classes, seed)

    def forward(self, x):
        return SimpleNamespace(logits=self.net(x), loss=None)


class HuggingFaceNet(NeuralNetClassifier):
    def evaluation_step(self, batch, training=False):
        return super().evaluation_step(batch, training).logits

    def get_loss(self, y_pred, y_true, *args, **kwargs):
        return super().get_loss(y_pred.logits, y_true, *args, **kwargs)


@all_cases
def test_outputs_with_a_field_of_logits(case, data, pool):
    net = HuggingFaceNet(HuggingFace, criterion=nn.CrossEntropyLoss).initialize()
    plain = make_net().initialize()
    np.testing.assert_array_equal(sample(case, net, pool), sample(case, plain, pool))


def test_outputs_with_a_field_of_logits_are_trained_by_make_classifier(data):
    found = []
    for module in (HuggingFace, small_cnn):
        torch.manual_seed(0)
        net = make_classifier(module, n_classes=4, max_epochs=2).fit(*data)
        found.append(net.predict_proba(data[0]))
    np.testing.assert_array_equal(*found)


def test_a_criterion_that_cannot_take_an_object_says_who_can(data):
    net = make_net(module=HuggingFace)
    clf = ActiveLearningClassifier(net, max_annotations=20)
    with pytest.raises(TypeError, match=r"SimpleNamespace\)\. Create the classifier"):
        clf.fit(*data)


@all_cases
def test_compiled_modules(case, pool):
    """A compiled module is worked on as it was before; nothing has to compile."""
    plain = make_net().initialize()
    compiled = make_net().initialize()
    compiled.module_ = torch.compile(compiled.module_, backend="eager")
    expected = sample(case, plain, pool)
    np.testing.assert_array_equal(sample(case, compiled, pool), expected)
    if case.strategy.needs == "features":
        named = sample(case, compiled, pool, layer="6")
        np.testing.assert_array_equal(named, sample(case, plain, pool, layer="6"))


@all_cases
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float64])
def test_modules_of_another_precision(case, dtype, data, pool):
    exact = make_net().fit(data[0][:60], data[1][:60])
    net = make_net().initialize()
    net.module_.load_state_dict(exact.module_.state_dict())
    net.module_.to(dtype)
    found = sample(case, net, pool, 10)
    assert len(set(found.tolist())) == 10
    if dtype == torch.float64 and not case.is_random:
        np.testing.assert_array_equal(found, sample(case, exact, pool, 10))


def test_twins_of_a_module_in_bfloat16(data, pool):
    net = make_net().fit(data[0][:60], data[1][:60])
    net.module_.to(torch.bfloat16)
    twins = skdfal.AdversarialAugmenter(net, prefit=True).transform(pool)
    assert twins.dtype == np.float32
    X = torch.from_numpy(np.stack([pool, twins])).to(torch.bfloat16)
    before, after = (net.module_.eval()(x).argmax(1) for x in X)
    # Rounding to eight bits takes a few of them back over the boundary.
    assert (before != after).float().mean() >= 0.8


def test_overflow_of_half_precision_is_no_divergence(pool):
    net = make_net().initialize()
    net.module_[-1].weight.data *= 3e5
    net.module_[-1].weight.data.clamp_(-6e4, 6e4)
    net.module_.half()
    with pytest.raises(ValueError, match=r"float16.*bfloat16"):
        skdfal.entropy_score(net, 50 * pool)
    net = make_net().initialize()
    net.module_[-1].weight.data *= 3e38  # too much for float32 as well
    net.module_.bfloat16()
    with pytest.raises(ValueError, match="its weights are finite: it overflows"):
        skdfal.entropy_score(net, 50 * pool)


class Tokens(nn.Module):
    """Token numbers into a bag of embeddings, as text classifiers do."""

    def __init__(self, n_classes=4):
        super().__init__()
        self.embed = nn.EmbeddingBag(30, 8)
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(8, n_classes)

    def forward(self, x):
        return self.last(self.drop(self.embed(x)))


@pytest.fixture(scope="module")
def tokens():
    rng = np.random.default_rng(0)
    y = np.arange(120) % 4
    X = rng.integers(0, 7, (120, 6)) + 7 * y[:, None]
    net = NeuralNetClassifier(
        Tokens,
        criterion=nn.CrossEntropyLoss,
        optimizer=torch.optim.Adam,
        lr=0.05,
        max_epochs=5,
        train_split=None,
        verbose=0,
    )
    return net.fit(X[:60], y[:60]), X, y


@all_cases
def test_integers_stay_integers(case, tokens):
    net, X, _ = tokens
    if case.needs_gradients_of_x:
        with pytest.raises(TypeError, match=r"torch.int64.*no gradient"):
            sample(case, net, X[60:])
    elif case.needs_pictures:
        with pytest.raises(ValueError, match="needs images"):
            sample(case, net, X[60:], X_labeled=X[:5])
    else:
        assert len(set(sample(case, net, X[60:], 7).tolist())) == 7


def test_entropy_of_tokens_is_that_of_the_net(tokens):
    net, X, _ = tokens
    np.testing.assert_allclose(
        skdfal.entropy_score(net, X), entropy_of(net, X), rtol=1e-4, atol=1e-6
    )


@all_cases
def test_integer_images_are_taken_as_floats(case, pool):
    """A convolution takes no integers, so they can only have been meant as numbers."""
    X = np.round(pool * 4).astype(np.uint8)
    net = make_net().initialize()
    expected = sample(case, net, X.astype(np.float32))
    np.testing.assert_array_equal(sample(case, net, X), expected)


class Pixels(nn.Module):
    """Takes integers and floats alike."""

    def __init__(self):
        super().__init__()
        self.net = small_cnn(N_CLASSES, 0)

    def forward(self, x):
        return self.net(x.float() / 255)


def test_an_attack_takes_integers_as_floats_where_the_module_does(pool):
    X = np.round(pool * 255).astype(np.uint8)
    net = NeuralNetClassifier(Pixels, criterion=nn.CrossEntropyLoss).initialize()
    np.testing.assert_array_equal(
        skdfal.deepfool_margin_score(net, X),
        skdfal.deepfool_margin_score(net, X.astype(np.float32)),
    )


class Two(nn.Module):
    """Two inputs by name."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.3)
        self.last = nn.Linear(5, 4)

    def forward(self, picture, age):
        return self.last(self.drop(torch.cat([picture, age], dim=1)))


def two_inputs(n_samples):
    rng = np.random.default_rng(0)
    return {
        "picture": rng.random((n_samples, 4), dtype=np.float32),
        "age": rng.random((n_samples, 1), dtype=np.float32),
    }


@all_cases
def test_inputs_by_name(case):
    X = two_inputs(30)
    net = NeuralNetClassifier(Two, criterion=nn.CrossEntropyLoss).initialize()
    if case.needs_gradients_of_x:
        with pytest.raises(TypeError, match=r"dict.*no gradient"):
            sample(case, net, X)
    elif case.needs_pictures:
        with pytest.raises(ValueError, match=r"needs images.*sees dict"):
            sample(case, net, X, X_labeled=X)
    else:
        assert sample(case, net, X).shape == (5,)


def test_a_committee_of_nets_with_inputs_by_name():
    X = two_inputs(9)
    nets = [
        NeuralNetClassifier(Two, criterion=nn.CrossEntropyLoss).initialize()
        for _ in range(2)
    ]
    committee = Committee([ActiveLearner(net) for net in nets])
    proba = np.mean([net.predict_proba(X).astype(float) for net in nets], axis=0)
    np.testing.assert_allclose(
        skdfal.entropy_score(committee, X), entr(proba).sum(1), rtol=1e-5
    )


# The net's own way


class Scaled(skorch.dataset.Dataset):
    """A dataset that scales, as one does with pixels from 0 to 255."""

    def transform(self, X, y):
        return super().transform((X - 0.5) / 0.1, y)


def collate_reversed(batch):
    X, y = torch.utils.data.default_collate(batch)
    return 1 - X, y


def sharpened(logits):
    return torch.softmax(3 * logits, dim=-1)


OWN_WAYS = {
    "dataset": {"dataset": Scaled},
    "collate": {"iterator_valid__collate_fn": collate_reversed},
    "nonlinearity": {"predict_nonlinearity": sharpened},
    "shuffled": {"iterator_valid__shuffle": True},
    "last batch dropped": {"iterator_valid__drop_last": True},
}


@pytest.mark.parametrize("way", OWN_WAYS)
def test_probabilities_are_those_of_predict_proba(way, data, pool):
    net = make_net(**OWN_WAYS[way]).fit(data[0][:60], data[1][:60])
    if way in ("shuffled", "last batch dropped"):  # nothing to be had from skorch
        plain = make_net().initialize()
        plain.module_ = net.module_
        expected = entropy_of(plain, pool)
    else:
        expected = entropy_of(net, pool)
    np.testing.assert_allclose(
        skdfal.entropy_score(net, pool, batch_size=7), expected, rtol=1e-4, atol=1e-6
    )


class OfList(nn.Module):
    """A module whose batch is a list of two tensors."""

    def __init__(self):
        super().__init__()
        self.first, self.second = nn.Linear(48, 4), nn.Linear(16, 4)

    def forward(self, x):
        return self.first(x[0]) + self.second(x[1])


def collate_in_two(batch):
    X, y = torch.utils.data.default_collate(batch)
    return [X.flatten(1)[:, :48], X.flatten(1)[:, 48:].double()], y


def test_a_batch_may_be_a_list(pool):
    """Each of its tensors comes in the precision of the module."""
    net = NeuralNetClassifier(
        OfList,
        criterion=nn.CrossEntropyLoss,
        iterator_valid__collate_fn=collate_in_two,
    ).initialize()
    X = torch.as_tensor(pool).flatten(1)
    with torch.no_grad():
        proba = net.module_([X[:, :48], X[:, 48:]]).softmax(1).double().numpy()
    np.testing.assert_allclose(
        skdfal.entropy_score(net, pool), entr(proba).sum(1), rtol=1e-5
    )


class Divided(skorch.dataset.Dataset):
    """Divides by a spread that is zero."""

    def transform(self, X, y):
        return super().transform((X - X) / (X - X).std(), y)


@pytest.mark.filterwarnings("ignore:invalid value:RuntimeWarning")
def test_a_dataset_that_makes_nan_of_samples_is_no_divergence(pool):
    net = make_net(dataset=Divided).initialize()
    with pytest.raises(ValueError, match="Input X contains NaN or infinity"):
        skdfal.entropy_score(net, pool)


class Contrast(nn.Module):
    """Divides by the spread of a picture, which is zero where all of it is black."""

    def __init__(self, n_classes=4, seed=0):
        super().__init__()
        self.cnn = small_cnn(n_classes, seed)

    def forward(self, x):
        return self.cnn(x / x.std(dim=(1, 2, 3), keepdim=True))


def asks_the_net(case):
    return case.strategy.needs not in ("nothing", "input")


@pytest.mark.parametrize("case", [*filter(asks_the_net, CASES)], ids=str)
def test_a_net_that_answers_nan_to_some_samples(case, pool):
    head = {"loss_layers": ("cnn.3", "cnn.7")} if case.needs_head else {}
    make = make_net_with_head if case.needs_head else make_net
    net = make(module=Contrast, **head).initialize()
    pool = pool.copy()
    pool[[7, 11]] = 0
    message = "NaN or infinity for 2 of 40 samples"
    with pytest.raises(ValueError, match=message):
        sample(case, net, pool)
    if case.score:
        with pytest.raises(ValueError, match=message):
            case.score(net, pool, **case.score_params)


class Masked(nn.Module):
    """Has one more class, which a mask excludes, as for classes not in use yet."""

    def __init__(self, n_classes=4, seed=0, value=None):
        super().__init__()
        self.cnn, self.value = small_cnn(n_classes, seed), value

    def forward(self, x):
        logits = self.cnn(x)
        if self.value is None:
            return logits
        return torch.cat([logits, logits.new_full((len(x), 1), self.value)], dim=1)


def ignores_masked(case):
    """All but one that counts classes, and one that needs a linear layer at the end."""
    return asks_the_net(case) and str(case) not in ("prob_cover", "egl-layers")


@pytest.mark.parametrize("case", [*filter(ignores_masked, CASES)], ids=str)
def test_a_masked_class_is_as_if_it_were_not_there(case, pool):
    head = {"loss_layers": ("cnn.3", "cnn.7")} if case.needs_head else {}
    make = make_net_with_head if case.needs_head else make_net
    with torch.random.fork_rng():
        torch.manual_seed(0)
        without = make(module=Masked, **head).initialize()
    expected = sample(case, without, pool)
    for value in (-torch.inf, -1e9):
        net = copy.deepcopy(without)
        net.module_.value = value
        np.testing.assert_array_equal(sample(case, net, pool), expected)


def test_probabilities_of_a_masked_class(pool):
    net = make_net(module=Masked, module__value=-torch.inf).initialize()
    p = net.predict_proba(pool)
    assert (p[:, 4] == 0).all()
    np.testing.assert_allclose(skdfal.entropy_score(net, pool), entr(p).sum(1), 1e-5)
    net.module_.cnn = Constant(-torch.inf)
    with pytest.raises(ValueError, match="NaN or infinity for 1 of 1 samples"):
        skdfal.entropy_score(net, pool)


class Constant(nn.Module):
    def __init__(self, value):
        super().__init__()
        self.value = value

    def forward(self, x):
        return x.new_full((len(x), 4), self.value)


class Counting(nn.Module):
    """No parameter of floating point tells the precision: torch's default is taken."""

    def __init__(self):
        super().__init__()
        count = torch.ones(1, dtype=torch.int64)
        self.count = nn.Parameter(count, requires_grad=False)

    def forward(self, x):
        assert x.dtype == torch.float32
        return x.flatten(1)[:, :4]


def test_a_module_without_weights(pool):
    net = NeuralNetClassifier(Counting, criterion=nn.CrossEntropyLoss)
    proba = softmax(pool.reshape(len(pool), -1)[:, :4].astype(float), axis=1)
    np.testing.assert_allclose(
        skdfal.entropy_score(net.initialize(), pool.astype(float)),
        entr(proba).sum(1),
        rtol=1e-5,
    )


def test_infer_of_the_net_is_the_way_to_its_logits(data, pool):
    class Flipped(NeuralNetClassifier):
        def infer(self, x, **kwargs):
            return super().infer(x.flip(3), **kwargs)

    own = make_net().fit(data[0][:60], data[1][:60])
    net = Flipped(small_cnn, criterion=nn.CrossEntropyLoss, module__n_classes=4)
    net.initialize()
    net.module_.load_state_dict(own.module_.state_dict())
    np.testing.assert_allclose(
        skdfal.entropy_score(net, pool), entropy_of(net, pool), rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(
        skdfal.deepfool_margin_score(net, pool),
        skdfal.deepfool_margin_score(own, np.flip(pool, 3).copy()),
        rtol=1e-4,
    )


def test_a_twin_would_go_through_the_dataset_twice(data, pool):
    net = make_net(dataset=Scaled).fit(data[0][:60], data[1][:60])
    with pytest.raises(TypeError, match=r"dataset of the net \(Scaled\)"):
        skdfal.AdversarialAugmenter(net, prefit=True).transform(pool)
    assert skdfal.deepfool_margin_sampling(net, pool, 3).shape == (3,)


# Outputs


@all_cases
def test_outputs_beyond_the_known_classes(case, data, pool):
    """Four classes, seven outputs: the last three name nothing."""
    net = make_net(n_outputs=7).fit(data[0][:60], data[1][:60])
    net.module_[-1].bias.data[4:] = 3.0  # likelier than any class
    assert sample(case, net, pool).shape == (5,)
    proba = net.predict_proba(pool)[:, :4].astype(float)
    proba /= proba.sum(1, keepdims=True)
    if case.strategy.name == "entropy":
        score = skdfal.entropy_score(net, pool)
        np.testing.assert_allclose(score, entr(proba).sum(1), rtol=1e-3, atol=1e-6)
        assert score.max() <= np.log(4)
    if case.strategy.name == "deepfool_margin":
        narrow = make_net().initialize()
        narrow.module_[:-1].load_state_dict(net.module_[:-1].state_dict())
        narrow.module_[-1].weight.data = net.module_[-1].weight.data[:4]
        narrow.module_[-1].bias.data = net.module_[-1].bias.data[:4]
        np.testing.assert_allclose(
            skdfal.deepfool_margin_score(net, pool),
            skdfal.deepfool_margin_score(narrow, pool),
            rtol=1e-4,
        )


def test_a_net_that_forgot_its_classes(data, pool):
    """The last training saw two of four classes: nothing else is known of them."""
    net = make_net().fit(*data).partial_fit(data[0][[0, 1]], data[1][[0, 1]])
    with pytest.warns(UserWarning, match=r"has 4 outputs.*classes=range\(4\)"):
        skdfal.entropy_score(net, pool)
    net.classes = range(4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        score = skdfal.entropy_score(net, pool)
    np.testing.assert_allclose(score, entropy_of(net, pool), rtol=1e-3, atol=1e-6)


def test_classes_by_name_do_not_say_which_outputs_they_are(pool):
    net = make_net(n_outputs=7, classes=["ant", "bee", "cat", "dog"]).initialize()
    np.testing.assert_allclose(  # over all seven
        skdfal.entropy_score(net, pool), entropy_of(net, pool), rtol=1e-4
    )


@pytest.mark.parametrize("freeze", [lambda net: net, FrozenEstimator])
def test_probabilities_of_fewer_classes_than_outputs_add_up_to_one(freeze, pool):
    net = make_net(n_outputs=5).initialize()
    expected = net.predict_proba(pool)[:, :4].astype(float)
    expected /= expected.sum(1, keepdims=True)
    np.testing.assert_allclose(
        proba_of_classes(freeze(net), pool, 4), expected, rtol=1e-5
    )
    with pytest.raises(ValueError, match="The module has 5 outputs, but y has 6"):
        proba_of_classes(freeze(net), pool, 6)


def test_a_committee_on_different_classes_is_refused(pool):
    nets = [make_net(n_outputs=n).initialize() for n in (4, 3)]
    committee = Committee([ActiveLearner(net) for net in nets])
    with pytest.raises(ValueError, match=r"different numbers of classes: \[4, 3\]"):
        skdfal.entropy_score(committee, pool)


class Forgetful(torch.utils.data.DataLoader):
    """Leaves a batch out."""

    def __iter__(self):
        yield from list(super().__iter__())[:-1]


def test_an_iterator_that_leaves_batches_out(data, pool):
    net = make_net(iterator_valid=Forgetful).fit(*data)
    with pytest.raises(ValueError, match=r"\(Forgetful\) gives 0 batches for 2"):
        skdfal.entropy_score(net, pool)


@pytest.mark.parametrize("strategy", sorted(skdfal.STRATEGIES))
def test_the_loop_with_more_outputs_than_classes(strategy, data):
    net = make_net_for(strategy, n_outputs=7, max_epochs=3)
    clf = ActiveLearningClassifier(
        net,
        strategy,
        n_initial=8,
        n_instances=4,
        max_annotations=16,
        query_params=cheap_params(strategy),
        random_state=0,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        clf.fit(*data)
    assert len(clf.annotated_indices_) == 16
    np.testing.assert_allclose(clf.predict_proba(data[0]).sum(1), 1, rtol=1e-5)


def test_scores_that_are_no_probabilities_are_not_divided(data):
    """A margin loss has no probabilities; dividing by a negative sum inverts them."""
    X, y = data
    net = make_net(n_outputs=7, criterion=nn.MultiMarginLoss, max_epochs=30)
    clf = ActiveLearningClassifier(
        net, "random", n_initial=60, max_annotations=60, random_state=0
    ).fit(X, y)
    own = clf.estimator_.predict_proba(X)[:, :4].argmax(1)
    np.testing.assert_array_equal(clf.predict(X), own)
    proba = clf.predict_proba(X)
    np.testing.assert_allclose(proba.sum(1), 1, rtol=1e-5)
    assert proba.min() >= 0


def ends_in_softmax(n_classes=4, seed=0):
    return nn.Sequential(small_cnn(n_classes, seed), nn.Softmax(dim=1))


def test_one_probability_under_the_binary_loss(pool):
    """The margin of σ(w x + b) is the distance to a plane, |w x + b| / |w|."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        linear = nn.Linear(64, 1)
    module = nn.Sequential(nn.Flatten(), linear, nn.Sigmoid(), nn.Flatten(0))
    net = NeuralNetBinaryClassifier(module, criterion=nn.BCELoss).initialize()
    np.testing.assert_allclose(
        skdfal.entropy_score(net, pool), entropy_of(net, pool), rtol=1e-4
    )
    with torch.no_grad():
        signed = linear(torch.as_tensor(pool).flatten(1)) / linear.weight.norm()
    np.testing.assert_allclose(
        -skdfal.deepfool_margin_score(net, pool, overshoot=0),
        signed.abs().squeeze(1),
        rtol=1e-3,
    )


class OwnLoss(nn.Module):
    def forward(self, proba, y):
        return -proba.gather(1, y[:, None]).mean()


def test_probabilities_under_cross_entropy_are_warned_of(data, pool):
    net = make_net(module=ends_in_softmax).fit(data[0][:60], data[1][:60])
    with pytest.warns(UserWarning, match="probabilities under CrossEntropyLoss"):
        score = skdfal.entropy_score(net, pool)
    np.testing.assert_allclose(score, entropy_of(net, pool), rtol=1e-4)


@pytest.mark.parametrize("last", [nn.Identity(), nn.LogSoftmax(dim=1)])
def test_what_skorch_takes_the_logarithm_of_should_be_probabilities(last, pool):
    """NLLLoss is skorch's default; only NeuralNetClassifier takes the logarithm."""
    module = nn.Sequential(small_cnn(), last)
    for kind in (NeuralNetClassifier, RestartingClassifier):
        net = kind(module, criterion=nn.NLLLoss).initialize()
        with pytest.warns(UserWarning, match="no probabilities, but .* for NLLLoss"):
            skdfal.entropy_score(net, pool)
    plain = skorch.NeuralNet(nn.Sequential(small_cnn(), nn.LogSoftmax(1)), nn.NLLLoss)
    softmax = NeuralNetClassifier(ends_in_softmax())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for net in (plain, softmax):
            skdfal.entropy_score(net.initialize(), pool)


def test_probabilities_under_an_unknown_loss(data, pool):
    net = make_net(module=ends_in_softmax, criterion=OwnLoss)
    net.fit(data[0][:60], data[1][:60])
    with pytest.warns(UserWarning, match="treated as probabilities"):
        score = skdfal.entropy_score(net, pool)
    np.testing.assert_allclose(score, entropy_of(net, pool), rtol=1e-4, atol=1e-6)
    net.predict_nonlinearity = None  # now it is said
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_array_equal(skdfal.entropy_score(net, pool), score)


def test_no_warning_for_what_is_as_it_should_be(estimators, pool):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        skdfal.entropy_score(estimators["net"], pool)
        margin = make_net(criterion=nn.MultiMarginLoss).initialize()
        score = skdfal.entropy_score(margin, pool)
    raw = margin.predict_proba(pool).astype(float)
    np.testing.assert_allclose(score, entr(softmax(raw, axis=1)).sum(1), rtol=1e-4)


# Wrappers


def flat_net():
    module = nn.Sequential(nn.Flatten(), nn.Linear(64, 4))
    return NeuralNetClassifier(
        module, criterion=nn.CrossEntropyLoss, train_split=None, verbose=0
    )


WRAPPERS = {
    "calibrated": lambda: CalibratedClassifierCV(flat_net(), cv=2),
    "bagging": lambda: BaggingClassifier(flat_net(), n_estimators=2),
    "voting": lambda: VotingClassifier(
        [("a", flat_net()), ("b", flat_net())], voting="soft"
    ),
}


@pytest.fixture(scope="module", params=WRAPPERS)
def wrapper(request, data):
    X = data[0].reshape(len(data[0]), -1)
    return WRAPPERS[request.param]().fit(X[:60], data[1][:60]), X[60:100]


@of_probabilities
def test_wrappers_do_where_probabilities_do(case, wrapper):
    assert sample(case, *wrapper).shape == (5,)
    if case.strategy.name == "entropy":
        clf, X = wrapper
        np.testing.assert_allclose(
            skdfal.entropy_score(clf, X), entropy_of(clf, X), rtol=1e-5, atol=1e-8
        )


@of_nets
def test_wrappers_are_refused_by_name_where_a_net_is_needed(case, wrapper):
    with pytest.raises(TypeError, match=type(wrapper[0]).__name__):
        sample(case, *wrapper)


@pytest.fixture(scope="module")
def mixed(data):
    X, y = data[0].reshape(len(data[0]), -1)[:60], data[1][:60]
    return Committee(
        [
            ActiveLearner(flat_net(), skdfal.dfal, X, y),
            ActiveLearner(RandomForestClassifier(5, random_state=0), skdfal.dfal, X, y),
        ],
        query_strategy=skdfal.entropy_sampling,
    )


@of_probabilities
def test_a_committee_of_a_net_and_a_forest(case, mixed, data):
    X = data[0].reshape(len(data[0]), -1)[60:100]
    assert sample(case, mixed, X).shape == (5,)
    if case.strategy.name == "entropy":
        proba = np.mean([m.predict_proba(X) for m in mixed.learner_list], axis=0)
        np.testing.assert_allclose(
            skdfal.entropy_score(mixed, X), entr(proba).sum(1), rtol=1e-4
        )


@pytest.mark.parametrize("wrap", [lambda s: s, make_pipeline, ActiveLearner])
def test_a_classifier_whose_parameters_leave_no_probabilities(wrap):
    """Like SVC() and SGDClassifier(), whose classes have the method."""
    X, y = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) % 2
    with pytest.raises(TypeError, match=r"has no predict_proba with .* Calibrated"):
        skdfal.entropy_sampling(wrap(SGDClassifier().fit(X, y)), X)
    likely = SGDClassifier(loss="log_loss").fit(X, y)
    assert len(skdfal.entropy_sampling(wrap(likely), X)) == 1


@of_nets
def test_a_committee_with_a_forest_has_no_gradient(case, mixed, data):
    X = data[0].reshape(len(data[0]), -1)[60:100]
    told = "RandomForestClassifier in Committee is not a torch net"
    with pytest.raises(TypeError, match=told):
        sample(case, mixed, X)


@all_cases
def test_frozen_and_scikit_activemls_wrapper(case, estimators, pool):
    net = estimators["net"]
    expected = sample(case, net, pool)
    np.testing.assert_array_equal(sample(case, FrozenEstimator(net), pool), expected)
    # scikit-activeml's SkorchClassifier keeps its fitted net under this name.
    wrapper = SimpleNamespace(neural_net_=net)
    np.testing.assert_array_equal(sample(case, wrapper, pool), expected)


def test_scikit_activemls_own_wrapper(data, pool):
    skactiveml = pytest.importorskip("skactiveml.classifier")
    clf = skactiveml.SkorchClassifier(
        module=small_cnn,
        criterion=nn.CrossEntropyLoss,
        classes=range(N_CLASSES),
        neural_net_param_dict={
            "module__n_classes": 4,
            "train_split": None,
            "verbose": 0,
            "max_epochs": 2,
        },
    ).fit(data[0][:60], data[1][:60])
    assert skdfal.dfal(clf, pool, 3).shape == (3,)
    assert skdfal.entropy_sampling(clf, pool, 3).shape == (3,)


def test_a_pipeline_transforms_block_by_block(data, monkeypatch):
    seen = []

    class Watching(StandardScaler):
        def transform(self, X):
            seen.append(len(X))
            return super().transform(X)

    X = data[0].reshape(len(data[0]), -1)
    net = make_pipeline(Watching(), flat_net()).fit(X[:60], data[1][:60])
    monkeypatch.setattr("skdfal.adapter._batches._BATCHES_A_BLOCK", 1)
    seen.clear()
    skdfal.entropy_score(net, X, batch_size=16)
    assert max(seen) == 16
    np.testing.assert_allclose(
        skdfal.entropy_score(net, X, batch_size=16), entropy_of(net, X), rtol=1e-4
    )


class Squeezing(nn.Sequential):
    def forward(self, x):
        return super().forward(x).squeeze()


@pytest.mark.parametrize("name", ["entropy", "bald", "core_set", "dfal", "egl"])
def test_a_lone_sample_keeps_its_place_though_the_module_squeezes(name, pool):
    """Whatever the batches are, the last of which may be of one sample."""
    plain = nn.Sequential(small_cnn(N_CLASSES), nn.Dropout(0.5), nn.Linear(4, 3))
    found, expected = (
        STRATEGIES[name](make_classifier(m).initialize(), pool[:9], 9, batch_size=4)
        if name != "bald"
        else skdfal.bald_score(
            make_classifier(m).initialize(), pool[:9], batch_size=10, random_state=0
        )
        for m in (Squeezing(plain), plain)
    )
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize("criterion", [nn.BCEWithLogitsLoss, nn.BCELoss])
def test_outputs_that_are_questions_of_their_own_are_no_classes(criterion, pool):
    module = small_cnn(3)
    if criterion is nn.BCELoss:  # where those of a softmax are classes
        net = skorch.NeuralNet(ends_in_softmax(3), criterion).initialize()
        expected = entr(net.forward(pool).numpy()).sum(1)
        np.testing.assert_allclose(skdfal.entropy_score(net, pool), expected, 1e-4)
        module = nn.Sequential(module, nn.Sigmoid())
    net = skorch.NeuralNet(module, criterion).initialize()
    with pytest.raises(ValueError, match=r"\(2, 3\) .* a separate.*question.*Cross"):
        skdfal.entropy_score(net, pool)


def test_margin_of_a_classifier_that_has_seen_one_class():
    """There p_(2) is 0 for every sample, and the order that of the pool."""
    X = np.eye(4)
    forest = RandomForestClassifier(3, random_state=0).fit(X, np.zeros(4))
    assert skdfal.margin_score(forest, X).tolist() == [-1, -1, -1, -1]
    assert str(skdfal.entropy_score(forest, X)) == "[0. 0. 0. 0.]"  # and not -0.
    assert skdfal.margin_sampling(forest, X, 2).tolist() == [0, 1]


def test_no_class_is_likelier_where_a_net_is_sure_of_outputs_beyond_them():
    linear = nn.Linear(1, 3, bias=False)
    linear.weight.data = torch.tensor([[0.0], [1.0], [2000.0]])
    net = make_classifier(linear, classes=range(3)).initialize()
    X = np.array([[0.0], [1.0]], dtype=np.float32)
    np.testing.assert_array_equal(proba_of_classes(net, X, 2), np.full((2, 2), 0.5))


class Unsure(RandomForestClassifier):
    def predict_proba(self, X):
        return super().predict_proba(X) / (X[:, :1] != 0)


@pytest.mark.filterwarnings("ignore:(divide|invalid)")
def test_nan_of_a_classifier_is_told_by_score_and_query():
    X = np.eye(4)
    forest = Unsure(3, random_state=0).fit(X, [0, 1, 0, 1])
    for ask in (skdfal.entropy_score, skdfal.margin_sampling):
        with pytest.raises(ValueError, match=r"predict_proba of Unsure returns NaN"):
            ask(forest, X)


def test_what_has_no_probabilities_is_told_so():
    with pytest.raises(TypeError, match=r"accept any .* with predict_proba"):
        skdfal.entropy_score(LinearRegression().fit(np.eye(3), [0, 1, 2]), np.eye(3))


def test_batch_norm_without_statistics_is_refused(pool):
    def module():
        norm = nn.BatchNorm1d(8, track_running_stats=False)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 8), norm, nn.Linear(8, 4))

    net = NeuralNetClassifier(module, criterion=nn.CrossEntropyLoss).initialize()
    with pytest.raises(ValueError, match=r"'2' .* BatchNorm1d without.*track_running"):
        skdfal.entropy_score(net, pool)


def test_weights_without_values_are_refused(pool):
    net = make_net().initialize()
    net.module_.to("meta")
    with pytest.raises(ValueError, match="on the device 'meta', which holds no values"):
        skdfal.dfal(net, pool)


@pytest.mark.parametrize("kind", [dict, list])
def test_an_output_that_is_no_tensor_is_named(kind, pool):
    class Wrapping(nn.Linear):
        def forward(self, x):
            return kind([("logits", x.flatten(1))])

    net = NeuralNetClassifier(Wrapping(2, 2), criterion=nn.CrossEntropyLoss)
    with pytest.raises(ValueError, match=f"returns a {kind.__name__} .*a tensor"):
        skdfal.entropy_score(net.initialize(), pool)
