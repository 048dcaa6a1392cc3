"""Small nets that drop in every way, for 1x8x8 images and four classes."""

import torch
from torch import nn


class Residual(nn.Module):
    """A skip connection passes by the first dropout layer."""

    def __init__(self):
        super().__init__()
        self.inner = nn.Sequential(nn.Linear(64, 64), nn.Dropout(0.5))
        self.outer = nn.Linear(64, 4)

    def forward(self, x):
        x = x.flatten(1)
        return self.outer(x + self.inner(x))


class Recurrent(nn.Module):
    def __init__(self, batch_first):
        super().__init__()
        self.batch_first = batch_first
        self.lstm = nn.LSTM(8, 6, 2, dropout=0.5, batch_first=batch_first)
        self.outer = nn.Linear(6, 4)

    def forward(self, x):
        x = x[:, 0] if self.batch_first else x[:, 0].transpose(0, 1)
        h, _ = self.lstm(x)
        return self.outer(h[:, -1] if self.batch_first else h[-1])


class Attentive(nn.Module):
    def __init__(self):
        super().__init__()
        self.encoder = nn.TransformerEncoderLayer(8, 2, 16, 0.3, batch_first=True)
        self.outer = nn.Linear(8, 4)

    def forward(self, x):
        return self.outer(self.encoder(x[:, 0]).mean(1))


class OnlyAttention(nn.Module):
    def __init__(self):
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, dropout=0.5, batch_first=True)
        self.outer = nn.Linear(8, 4)

    def forward(self, x):
        h, _ = self.attention(x[:, 0], x[:, 0], x[:, 0])
        return self.outer(h.mean(1))


class TokensFirst(nn.Module):
    """Dropout is given (8 tokens, n_samples, 8), or (n_samples * 8 tokens, 8)."""

    def __init__(self, flat):
        super().__init__()
        self.flat = flat
        self.drop = nn.Dropout(0.5)
        self.outer = nn.Linear(8, 4)

    def forward(self, x):
        h = x[:, 0].flatten(0, 1) if self.flat else x[:, 0].transpose(0, 1)
        h = self.outer(self.drop(h))
        return h.unflatten(0, (-1, 8)).mean(1) if self.flat else h.mean(0)


class Twice(nn.Module):
    """The same layer drops at two places."""

    def __init__(self):
        super().__init__()
        self.drop = nn.Dropout(0.5)
        self.inner, self.outer = nn.Linear(64, 64), nn.Linear(64, 4)

    def forward(self, x):
        return self.outer(self.drop(self.inner(self.drop(x.flatten(1)))))


class OwnDropout(nn.Dropout):
    """Drops as it likes."""

    def forward(self, x):
        return x * torch.bernoulli(torch.full_like(x, 0.5)) if self.training else x


def conv_net(*dropouts):
    return nn.Sequential(nn.Conv2d(1, 6, 3), *dropouts, nn.Flatten(), nn.Linear(216, 4))


DROPPING = {
    "dropout": lambda: conv_net(nn.Dropout(0.5)),
    "dropout_in_place": lambda: conv_net(nn.Dropout(0.5, inplace=True)),
    "dropout_on_the_input": lambda: nn.Sequential(
        nn.Dropout(0.5), nn.Flatten(), nn.Linear(64, 4)
    ),
    "dropout_1d": lambda: conv_net(nn.Flatten(2), nn.Dropout1d(0.5)),
    "dropout_2d": lambda: conv_net(nn.Dropout2d(0.5)),
    "dropout_3d": lambda: conv_net(nn.Unflatten(1, (6, 1)), nn.Dropout3d(0.5)),
    "alpha": lambda: conv_net(nn.AlphaDropout(0.5)),
    "feature_alpha": lambda: conv_net(nn.FeatureAlphaDropout(0.5)),
    "residual": Residual,
    "twice": Twice,
    "tokens_first": lambda: TokensFirst(False),
    "tokens_flat": lambda: TokensFirst(True),
    "own": lambda: conv_net(OwnDropout(0.5)),
    "lstm": lambda: Recurrent(True),
    "lstm_sequence_first": lambda: Recurrent(False),
    "transformer": Attentive,
    "attention": OnlyAttention,
}
