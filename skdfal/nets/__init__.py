"""The small convolutional networks of the papers, and classifiers built from them."""

from skdfal.nets._augmentation import RandomCropFlip
from skdfal.nets._classifier import RestartingClassifier
from skdfal.nets._discriminator import Discriminator
from skdfal.nets._lenet5 import LeNet5
from skdfal.nets._loss_prediction import (
    LossPredictionClassifier,
    LossPredictionHead,
    margin_pair_loss,
    ranking_pair_loss,
)
from skdfal.nets._make import make_classifier
from skdfal.nets._mlp import MLP
from skdfal.nets._resnet18 import ResNet18
from skdfal.nets._vae import VAE
from skdfal.nets._vgg8 import VGG8

__all__ = [
    "MLP",
    "VAE",
    "VGG8",
    "Discriminator",
    "LeNet5",
    "LossPredictionClassifier",
    "LossPredictionHead",
    "RandomCropFlip",
    "ResNet18",
    "RestartingClassifier",
    "make_classifier",
    "margin_pair_loss",
    "ranking_pair_loss",
]
