"""Batch sizes from the memory that a sample needs."""

import pytest
import torch
from torch import nn

from skdfal import deepfool
from skdfal._utils._torch import choose_batch_size, first_output
from skdfal.nets import LeNet5
from tests.adversarial_nets import images, small_cnn

MEMORY = 256 * 2**20


def deep_net(n_blocks=6):
    """Convolutions, batch-norm and ReLUs in place at 112x112, after one stride."""
    layers = [nn.Conv2d(3, 32, 7, stride=2, padding=3)]
    for _ in range(n_blocks):
        layers += [nn.Conv2d(32, 32, 3, padding=1, bias=False)]
        layers += [nn.BatchNorm2d(32), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten())


def bytes_of_outputs(module, x):
    """Bytes that the layers return, those in place aside, by hooks."""
    n_bytes = []
    hooks = [
        layer.register_forward_hook(lambda *args: n_bytes.append(args[2].nbytes))
        for layer in module
        if not isinstance(layer, nn.ReLU)
    ]
    module(x)
    for hook in hooks:
        hook.remove()
    return sum(n_bytes)


def test_a_batch_of_large_images_stays_within_its_memory():
    module, x = deep_net().eval(), torch.rand(3, 3, 224, 224)
    of_one = bytes_of_outputs(module, x[:1])
    with_graph = choose_batch_size(module, x, with_graph=True)
    forward = choose_batch_size(module, x, with_graph=False)
    assert 1 <= with_graph < forward
    assert MEMORY / 8 < with_graph * of_one <= MEMORY
    deeper = choose_batch_size(deep_net(60), x, with_graph=True)
    assert deeper == 1  # more than the memory, and still a batch


def test_frozen_weights_need_as_much():
    module, x = deep_net(), torch.rand(1, 3, 224, 224)
    free = choose_batch_size(module, x, with_graph=True)
    assert choose_batch_size(module.requires_grad_(False), x, with_graph=True) == free


def test_weights_are_no_activations():
    wide = nn.Sequential(nn.Flatten(), nn.Linear(784, 60_000), nn.Linear(60_000, 2))
    wide[1].weight.data.zero_()
    assert choose_batch_size(wide, torch.rand(1, 784), with_graph=True) >= 128


@pytest.mark.parametrize("with_graph", [True, False])
def test_small_nets_get_large_batches(with_graph):
    module, x = LeNet5(), torch.rand(1, 1, 28, 28)
    sizes = [choose_batch_size(module, x, with_graph=with_graph) for _ in range(3)]
    assert sizes[0] >= 256
    assert len(set(sizes)) == 1


def test_tokens():
    module = nn.Sequential(nn.EmbeddingBag(100, 8), nn.Linear(8, 3))
    tokens = torch.randint(0, 100, (4, 20))
    assert choose_batch_size(module, tokens, with_graph=False) >= 256


def test_choosing_leaves_no_trace():
    class Noisy(nn.Module):
        def __init__(self):
            super().__init__()
            self.module = small_cnn()

        def forward(self, x):
            return self.module(x.add_(torch.rand(1)))

    module, x = Noisy().train(), images(4)
    module.module[1].eval()  # a frozen layer stays frozen
    modes = [m.training for m in module.modules()]
    weights = {name: value.clone() for name, value in module.state_dict().items()}
    before, generator = x.clone(), torch.get_rng_state()
    with torch.inference_mode():
        choose_batch_size(module, x.clone(), with_graph=True)
    choose_batch_size(module, x, with_graph=True)
    assert torch.equal(x, before)
    assert not x.requires_grad
    assert torch.equal(torch.get_rng_state(), generator)
    assert [m.training for m in module.modules()] == modes
    for name, value in module.state_dict().items():
        assert torch.equal(value, weights[name])
    for m in module.modules():
        assert not m._forward_hooks
        assert not m._forward_pre_hooks
    assert all(weight.grad is None for weight in module.parameters())


def test_deepfool_chooses_for_itself():
    module, x = small_cnn(), images(9)
    chosen = choose_batch_size(module, x, with_graph=True)
    expected = deepfool(module, x, batch_size=chosen)
    torch.testing.assert_close(deepfool(module, x), expected, rtol=0, atol=0)


def test_first_output():
    f = torch.zeros(2, 3)

    class Output(dict):
        logits = f

    for out in (f, (f, None), Output(loss=0)):
        assert first_output(out) is f
    assert first_output("neither") == "neither"
