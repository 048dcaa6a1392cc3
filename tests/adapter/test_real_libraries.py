"""Models of timm, torchvision and transformers as they are, where they are there."""

import numpy as np
import pytest
import torch

from skdfal import AdversarialAugmenter, deepfool_margin_score, make_classifier
from tests.strategy_cases import CASES
from tests.test_common import sample


def timm(n_classes):
    import timm

    small = {"img_size": 32, "patch_size": 8, "depth": 2, "embed_dim": 32}
    return timm.create_model(
        "vit_tiny_patch16_224",
        num_classes=n_classes,
        num_heads=2,
        drop_rate=0.1,
        **small,
    )


def torchvision(n_classes):
    from torchvision import models

    return models.mobilenet_v2(num_classes=n_classes, width_mult=0.25)


def transformers(n_classes):
    from transformers import ViTConfig, ViTForImageClassification

    config = ViTConfig(
        num_labels=n_classes,
        image_size=32,
        patch_size=8,
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        intermediate_size=64,
        hidden_dropout_prob=0.1,
    )
    return ViTForImageClassification(config)


@pytest.fixture(scope="module", params=[timm, torchvision, transformers])
def trained(request):
    """A net that has learned which quarter of a picture is bright, and the pictures."""
    try:
        request.param(4)
    except (ImportError, RuntimeError) as exc:  # not for this torch
        pytest.skip(f"{request.param.__name__}: {exc}")
    y = np.arange(40) % 4
    X = np.random.default_rng(0).random((40, 3, 32, 32), dtype=np.float32)
    for x, k in zip(X, y, strict=True):
        x[:, 16 * (k // 2) :, 16 * (k % 2) :][:, :16, :16] += 1
    torch.manual_seed(0)
    net = make_classifier(request.param, n_classes=4, max_epochs=15, lr=0.005)
    return net.fit(X, y), X


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("case", [c for c in CASES if not c.needs_head], ids=str)
def test_every_strategy_asks(case, trained):
    net, X = trained
    params = {"X_labeled": X[:20]} if "X_labeled" in case.params else {}
    assert len(set(sample(case, net, X, **params).tolist())) == 5


@pytest.mark.filterwarnings("ignore")
def test_twins_cross_the_boundary_that_was_found(trained):
    net, X = trained
    found = np.isfinite(deepfool_margin_score(net, X[:9]))
    twins = AdversarialAugmenter(net, prefit=True).transform(X[:9])
    assert twins.shape == X[:9].shape
    assert (net.predict(twins) != net.predict(X[:9]))[found].all()
