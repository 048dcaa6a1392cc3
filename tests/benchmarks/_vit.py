"""A vision transformer as timm and torchvision have it, for timing alone."""

import torch
from torch import nn
from torch.nn import functional as F


class Block(nn.Module):
    """Attention and a two-layer perceptron, each after a layer norm."""

    def __init__(self, dim, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.qkv, self.proj = nn.Linear(dim, 3 * dim), nn.Linear(dim, dim)
        self.mlp = nn.Sequential(
            nn.Linear(dim, 4 * dim), nn.GELU(), nn.Linear(4 * dim, dim)
        )

    def forward(self, x):
        n, n_tokens, dim = x.shape
        qkv = self.qkv(self.norm1(x)).view(n, n_tokens, 3, self.n_heads, -1)
        attended = F.scaled_dot_product_attention(*qkv.permute(2, 0, 3, 1, 4))
        x = x + self.proj(attended.transpose(1, 2).reshape(n, n_tokens, dim))
        return x + self.mlp(self.norm2(x))


class ViTTiny(nn.Module):
    """ViT-Ti: 12 blocks of 192 dimensions and 3 heads; 64 or 196 patches.

    Maps (n, 3, image_size, image_size) to logits (n, n_classes).
    """

    def __init__(self, n_classes, image_size=32, dim=192, depth=12, n_heads=3):
        super().__init__()
        patch_size = 4 if image_size <= 64 else 16
        self.patches = nn.Conv2d(3, dim, patch_size, stride=patch_size)
        n_patches = (image_size // patch_size) ** 2
        self.token = nn.Parameter(torch.zeros(1, 1, dim))
        self.place = nn.Parameter(0.02 * torch.randn(1, n_patches + 1, dim))
        self.blocks = nn.Sequential(*[Block(dim, n_heads) for _ in range(depth)])
        self.norm, self.head = nn.LayerNorm(dim), nn.Linear(dim, n_classes)

    def forward(self, x):
        x = self.patches(x).flatten(2).transpose(1, 2)
        x = torch.cat([self.token.expand(len(x), -1, -1), x], dim=1) + self.place
        return self.head(self.norm(self.blocks(x))[:, 0])
