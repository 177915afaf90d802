"""cfgdistill's default TransformerLM in PyTorch: pre-norm blocks, learned positions, GELU, tied output."""

import math

import torch
import torch.nn as nn
import torch.nn.functional as F

FAST_ATTENTION = hasattr(F, "scaled_dot_product_attention")


def attention(q, k, v, mask=None, causal=False):
    """q [rows, heads, queries, dim], k and v [rows, heads, keys, dim]; mask: true where a key is seen."""
    if FAST_ATTENTION:
        return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, is_causal=causal)
    scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
    if causal:
        mask = torch.ones(q.shape[-2], k.shape[-2], dtype=torch.bool, device=q.device).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    return scores.softmax(-1) @ v


class Block(nn.Module):
    def __init__(self, config):
        super().__init__()
        width, inner = config["width"], config["feedForwardWidth"]
        self.heads = config["heads"]
        self.attention_norm, self.feed_forward_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.qkv, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.feed_forward_in, self.feed_forward_out = nn.Linear(width, inner), nn.Linear(inner, width)

    def forward(self, x, cache=None, place=None, mask=None):
        """With a cache (keys and values [rows, heads, capacity, dim]) x is new positions, written at `place`."""
        rows, positions, width = x.shape
        qkv = self.qkv(self.attention_norm(x)).view(rows, positions, 3, self.heads, -1)
        q, k, v = qkv.permute(2, 0, 3, 1, 4)
        if cache is None:
            out = attention(q, k, v, causal=True)
        else:
            keys, values = cache
            keys.index_copy_(2, place, k)
            values.index_copy_(2, place, v)
            # Prompts attend to themselves alone; a single new token to all that the mask shows.
            out = attention(q, k, v, causal=True) if mask is None else attention(q, keys, values, mask)
        x = x + self.attention_out(out.transpose(1, 2).reshape(rows, positions, width))
        return x + self.feed_forward_out(F.gelu(self.feed_forward_in(self.feed_forward_norm(x))))


class Transformer(nn.Module):
    def __init__(self, config):
        super().__init__()
        self.config = config
        self.embedding = nn.Embedding(config["vocabularySize"], config["width"])
        self.positions = nn.Embedding(config["maxPositions"], config["width"])
        self.blocks = nn.ModuleList(Block(config) for _ in range(config["depth"]))
        self.norm = nn.LayerNorm(config["width"])
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                nn.init.normal_(module.weight, std=0.02)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def forward(self, tokens, caches=None, place=None, mask=None):
        if place is None:
            place = torch.arange(tokens.shape[1], device=tokens.device)
        x = self.embedding(tokens) + self.positions(place)
        for i, block in enumerate(self.blocks):
            x = block(x, caches and caches[i], place, mask)
        if caches is not None:
            x = x[:, -1]
        return F.linear(self.norm(x), self.embedding.weight)

    def named_as_cfgdistill(self):
        """The weights under cfgdistill's names; linear ones are [inputs, outputs] there."""
        names = {
            "attention_norm": "attention.norm", "qkv": "attention.qkv", "attention_out": "attention.out",
            "feed_forward_norm": "feedForward.norm", "feed_forward_in": "feedForward.in", "feed_forward_out": "feedForward.out",
        }
        result = {}
        for name, tensor in self.named_parameters():
            for own, theirs in names.items():
                name = name.replace(f".{own}.", f".{theirs}.")
            norm = name.startswith("norm.") or ".norm." in name
            if norm:
                name = name.replace(".weight", ".gain")
            elif tensor.dim() == 2 and name.startswith("blocks."):
                tensor = tensor.T
            result[name] = tensor
        return result
