"""Guidance and merging as PyTorch writes them, and a copy, which is what all memory-bound kernels are measured by."""

import torch

from harness import DTYPES, Peer
from shapes import shapes


def guided_logits(inputs):
    cond, uncond = inputs
    return uncond + 3.0 * (cond - uncond)


def lerp(inputs):
    return torch.lerp(inputs[0], inputs[1], 0.3)


def weighted_average(inputs):
    return 0.5 * inputs[0] + 0.2 * inputs[1] + 0.3 * inputs[2]


KERNELS = [
    ("guidedLogits", guided_logits, 2, ["bfloat16", "float32"]),
    ("lerp", lerp, 2, ["float32"]),
    ("weightedAverage of 3", weighted_average, 3, ["float32"]),
]


def main():
    peer = Peer()
    shape = shapes(peer.small)["elementwise"]
    for what, function, arrays, _ in KERNELS:
        inputs = [torch.randn(7, 33, device=peer.device) for _ in range(arrays)]
        peer.reference(what, {**{f"input{i}": x for i, x in enumerate(inputs)}, "output": function(inputs)})

    for dtype in ["bfloat16", "float32"]:
        make = lambda _: [torch.randn(shape, device=peer.device).to(DTYPES[dtype]) for _ in range(2)]
        one = shape[0] * shape[1] * torch.empty(0, dtype=DTYPES[dtype]).element_size()
        peer.compare("copy", shape, dtype, {"copy": lambda pair: pair[0].copy_(pair[1])}, peer.sets(2 * one, make), bytes=2 * one)
    for what, function, arrays, dtypes in KERNELS:
        for dtype in dtypes:
            make = lambda _: [torch.randn(shape, device=peer.device).to(DTYPES[dtype]) for _ in range(arrays)]
            one = shape[0] * shape[1] * torch.empty(0, dtype=DTYPES[dtype]).element_size()
            sets = peer.sets(arrays * one, make)
            versions = {"eager": function, "compile": peer.compiled(function)}
            peer.compare(what, shape, dtype, versions, sets, bytes=(arrays + 1) * one)
            del sets
    peer.finish()


if __name__ == "__main__":
    with torch.no_grad():
        main()
