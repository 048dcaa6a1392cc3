"""The only subpackage that knows skorch nets, Pipelines and modAL learners."""

from skdfal.adapter._answers import (
    hidden_features,
    map_features,
    map_proba,
    predict_proba,
    predicted_codes,
    predicted_losses,
    proba_of_classes,
)
from skdfal.adapter._batches import batches_a_block
from skdfal.adapter._dropout import map_draws
from skdfal.adapter._features import features
from skdfal.adapter._find import (
    cannot_have_a_net,
    class_labels,
    inner_net,
    is_net,
    labeled_samples,
    wants_float_targets,
)
from skdfal.adapter._probe import member_nets, torch_nets
from skdfal.adapter._torch_net import TorchNet
from skdfal.adapter._values import sample_values

__all__ = [
    "TorchNet",
    "batches_a_block",
    "cannot_have_a_net",
    "class_labels",
    "features",
    "hidden_features",
    "inner_net",
    "is_net",
    "labeled_samples",
    "map_draws",
    "map_features",
    "map_proba",
    "member_nets",
    "predict_proba",
    "predicted_codes",
    "predicted_losses",
    "proba_of_classes",
    "sample_values",
    "torch_nets",
    "wants_float_targets",
]
