"""A round of a session: an answer that reaches the disk, a training, a query."""

import tempfile
from pathlib import Path

import torch

from skdfal import LabelingSession, make_classifier
from skdfal.datasets import load_digits


class Session:
    params = ("random", "dfal")
    param_names = ("strategy",)
    number = 1  # a round changes the session, which is set up anew for each
    warmup_time = 0

    def setup(self, strategy):
        torch.set_num_threads(1)
        data = load_digits(image_size=32)
        self.folder = tempfile.TemporaryDirectory()
        self.y = data.y_train
        self.session = LabelingSession(
            data.X_train,
            range(10),
            make_classifier("lenet5", image_size=32, max_epochs=5),
            query_strategy=strategy,
            random_state=0,
            path=Path(self.folder.name) / "session",
        )
        asked = self.session.ask(20)
        self.session.tell(asked, self.y[asked])
        self.session.fit()

    def teardown(self, strategy):
        self.session.close()
        self.folder.cleanup()

    def time_round(self, strategy):
        asked = self.session.ask(10)
        self.session.tell(asked, self.y[asked])
        self.session.fit()
