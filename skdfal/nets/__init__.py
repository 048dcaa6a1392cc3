"""The small convolutional networks of the papers, and estimators made of them."""

from skdfal.nets._augmentation import RandomCropFlip
from skdfal.nets._classifier import RestartingClassifier, make_classifier
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._mlp import MLP
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vgg8 import VGG8

__all__ = [
    "MLP",
    "VGG8",
    "LeNet5",
    "RandomCropFlip",
    "ResNet18",
    "RestartingClassifier",
    "make_classifier",
]
