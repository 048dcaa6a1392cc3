"""DeepFool on LeNet5: the attack of a pool, and the query that stops early."""

import torch

from skdfal import deepfool, deepfool_margin_sampling, make_classifier
from skdfal.datasets import load_digits


class DeepFool:
    def setup(self):
        torch.set_num_threads(1)
        torch.manual_seed(0)
        data = load_digits(image_size=32)
        net = make_classifier("lenet5", image_size=32, max_epochs=10)
        self.net = net.fit(data.X_train[:200], data.y_train[:200])
        self.X = data.X_train[200:400]

    def time_attack(self):
        deepfool(self.net.module_, torch.from_numpy(self.X[:64]))

    def time_query(self):
        deepfool_margin_sampling(self.net, self.X, 10)

    def time_query_pruned(self):
        deepfool_margin_sampling(self.net, self.X, 10, prune=True)

    def peakmem_query(self):
        deepfool_margin_sampling(self.net, self.X, 10)
