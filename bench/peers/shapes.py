"""What is measured; bench/gpu/speed/shapes.mjs says the same. Results are matched by `what`, `shape` and `dtype`."""


def shapes(small):
    if small:
        return {
            "elementwise": (8, 1000), "loss": [(6, 64), (4, 300)], "draw": (4, 300), "diversity": [(3, 4, 16)],
        }
    return {
        "elementwise": (4096, 32768), "loss": [(8192, 2048), (8192, 32768), (4096, 131072)], "draw": (256, 32768),
        "diversity": [(256, 4, 512), (64, 16, 1024)],
    }


def model(small):
    """In the words of cfgdistill's TransformerLM."""
    width, heads = (32, 2) if small else (768, 12)
    return {
        "vocabularySize": 64 if small else 32768, "depth": 2 if small else 12, "width": width, "heads": heads,
        "headWidth": width // heads, "feedForwardWidth": 4 * width, "norm": "layer", "activation": "gelu",
        "gated": False, "positions": "learned", "maxPositions": 32 if small else 1024, "bias": True, "dropout": 0,
        "tied": True,
    }


def workload(small):
    if small:
        return {
            "training": {"rows": 2, "positions": 16},
            "sampling": {"batches": [1, 4], "prompt": 4, "answer": 6},
            "distillation": {"prompts": 2, "samples": 2, "prompt": 4, "answer": 6},
        }
    return {
        "training": {"rows": 8, "positions": 1024},
        "sampling": {"batches": [1, 16, 128], "prompt": 64, "answer": 256},
        "distillation": {"prompts": 8, "samples": 4, "prompt": 64, "answer": 256},
    }
