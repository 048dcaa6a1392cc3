"""How nets are sent to the workers of a cluster, and where they run there."""

import skorch
import torch
from torch import nn

from skdfal.pool import travels_as

# Attributes that a net does not need once it is trained.
_OF_TRAINING = {"callbacks_", "history_", "optimizer_"}


def own_device():
    """Return the device of a worker: its GPU if it has one."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _reduce_net(net):
    """Keep attributes unchanged: skorch's own way fails for classes of a notebook."""
    state = {k: v for k, v in vars(net).items() if k not in _OF_TRAINING}
    return _new, (type(net),), state | {"callbacks": None}, None, None, _set_state


def _new(kind):
    return object.__new__(kind)


def _set_state(net, state):
    vars(net).update(state)


def _reduce_tensor(tensor):
    """Send a tensor of a GPU via the CPU, which every worker has."""
    if tensor.device.type == "cpu" or isinstance(tensor, nn.Parameter):
        return NotImplemented
    return _to_own_device, (tensor.detach().cpu(),)


def _to_own_device(tensor):
    return tensor.to(own_device())


travels_as(skorch.NeuralNet, _reduce_net)
travels_as(torch.Tensor, _reduce_tensor)
