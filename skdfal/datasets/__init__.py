"""Image data sets of the papers, folders of your own, and a split of the labels."""

from skdfal.datasets._caltech import fetch_caltech101, fetch_caltech256
from skdfal.datasets._cifar10 import fetch_cifar10
from skdfal.datasets._cifar100 import fetch_cifar100
from skdfal.datasets._digits import load_digits
from skdfal.datasets._fashion_mnist import fetch_fashion_mnist, fetch_fashion_shoe_bag
from skdfal.datasets._image_folder import load_image_folder
from skdfal.datasets._imbalance import make_imbalanced
from skdfal.datasets._mnist import fetch_mnist
from skdfal.datasets._pool import PoolSplit, split_pool
from skdfal.datasets._quickdraw import fetch_quickdraw
from skdfal.datasets._svhn import fetch_svhn

__all__ = [
    "PoolSplit",
    "fetch_caltech101",
    "fetch_caltech256",
    "fetch_cifar10",
    "fetch_cifar100",
    "fetch_fashion_mnist",
    "fetch_fashion_shoe_bag",
    "fetch_mnist",
    "fetch_quickdraw",
    "fetch_svhn",
    "load_digits",
    "load_image_folder",
    "make_imbalanced",
    "split_pool",
]
