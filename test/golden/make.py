"""Makes the golden files *.safetensors in this folder: models, losses, gradients and training runs, by PyTorch.

    python3 test/golden/make.py

The files were made with PyTorch 1.13.1 (python3-torch 1.13.1+dfsg-4 of Debian 12) on one thread; the tests need only
the files. All reference values are computed in float64 from weights that are exact in float32, and stored as float32 (tensors)
or as JSON numbers (the metadata entry `case`). For comparison the script prints how far the same computation in
float32 is from float64: `tensors` is the largest error of a tensor by its largest element, `reports` the largest relative
error of a loss or norm, `trained` that of a weight after the run by the largest element of its tensor. The tests'
tolerances are a small multiple of these.
"""

import json
import os
import struct
import sys

import torch

sys.dont_write_bytecode = True
import reference as ref

HERE = os.path.dirname(os.path.abspath(__file__))
VOCABULARY = 13

BASE = {"vocabularySize": VOCABULARY, "depth": 2, "dropout": 0}
MODELS = {
    "learned": {
        **BASE, "width": 12, "heads": 2, "headWidth": 6, "feedForwardWidth": 23, "norm": "layer", "activation": "gelu",
        "gated": False, "positions": "learned", "maxPositions": 17, "bias": True, "tied": True,
    },
    "rotary": {
        **BASE, "width": 14, "heads": 2, "headWidth": 8, "feedForwardWidth": 19, "norm": "rms", "activation": "silu",
        "gated": True, "positions": "rotary", "maxPositions": 64, "bias": False, "tied": False,
    },
    "sinusoidal": {
        **BASE, "width": 13, "heads": 2, "headWidth": 5, "feedForwardWidth": 17, "norm": "layer", "activation": "gelu-tanh",
        "gated": False, "positions": "sinusoidal", "maxPositions": 64, "bias": True, "tied": False,
    },
    "unbiased": {
        **BASE, "width": 16, "heads": 3, "headWidth": 4, "feedForwardWidth": 11, "norm": "layer", "activation": "gelu",
        "gated": True, "positions": "rotary", "maxPositions": 64, "bias": False, "tied": True,
    },
}
# epsilon is large enough for its place in the formula to show; the clipping norms are such that most runs have both
# steps that are clipped and steps that are not.
OPTIMIZER = {
    "learningRate": 0.01, "warmupSteps": 3, "decay": "cosine", "totalSteps": 10, "finalShare": 0.1,
    "beta1": 0.9, "beta2": 0.95, "epsilon": 1e-4, "weightDecay": 0.1,
}


def ints(generator, low, high, count):
    return torch.randint(low, high, (count,), generator=generator).tolist()


def leaves(weights, dtype):
    return {name: w.detach().to(dtype).clone().requires_grad_() for name, w in weights.items()}


def save(name, tensors, case):
    """Writes the safetensors format: header length, header, data."""
    header, chunks, offset = {"__metadata__": {"case": json.dumps(case)}}, [], 0
    for key, tensor in tensors.items():
        data = tensor.detach().to(torch.float32).contiguous().numpy().astype("<f4").tobytes()
        header[key] = {"dtype": "F32", "shape": list(tensor.shape), "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with open(os.path.join(HERE, f"{name}.safetensors"), "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text + b"".join(chunks))


def compute(name, case, calculate):
    """`calculate(dtype)` gives (tensors, trained weights, reports); saves those of float64 and prints float32's errors."""
    tensors, trained, reports = calculate(torch.float64)
    rough = calculate(torch.float32)
    far = lambda a, b: float((a.double() - b).abs().max() / b.abs().max())
    worst = lambda a, b: max((far(a[key], b[key]), key) for key in b) if b else (0, "")
    numbers = lambda runs: [x for run in runs.values() for step in run for x in step.values()]
    relative = max(abs(a - b) / abs(b) for a, b in zip(numbers(rough[2]), numbers(reports)))
    # A key's bias changes nothing unless positions are rotary: its gradient is a rounding error, scaled up by Adam.
    for weights in (rough[1], trained):
        for key, w in weights.items():
            if key.endswith("qkv.bias") and case["config"]["positions"] != "rotary":
                w.data.view(3, -1)[1] = 0
    errors = f"tensors {worst(rough[0], tensors)[0]:.1e}, reports {relative:.1e}, trained {worst(rough[1], trained)[0]:.1e}"
    print(f"{name}: float32 errors: {errors}")
    for run, steps in reports.items():
        print(f"  {run}:", ", ".join(f"{step.get('kl', step['loss']):.4f} ({step['gradientNorm']:.2f})" for step in steps))
    save(name, {**tensors, **{f"trained.{key}": w for key, w in trained.items()}}, {**case, "runs": reports})


def prefixed(prefix, tensors):
    return {f"{prefix}.{name}": tensor for name, tensor in tensors.items()}


def language_model(name, config, seed, max_norm):
    generator = torch.Generator().manual_seed(seed)
    output = None if config["tied"] else ("output", VOCABULARY)
    weights = ref.random_weights(ref.shapes(config, output), generator)
    positions, starts = 11, [0, 4, 7, 1]
    sequences = [ints(generator, 0, VOCABULARY, positions - start) for start in starts]
    cotangents = [torch.randn(len(s), VOCABULARY, generator=generator) for s in sequences]
    completions = [
        (ints(generator, 0, VOCABULARY, prompt), ints(generator, 0, VOCABULARY, length))
        for prompt, length in [(2, 5), (7, 1), (1, 7), (4, 3), (3, 6)]
    ]
    options = {**OPTIMIZER, "maxGradientNorm": max_norm}

    if name in ("learned",):
        w, tokens = leaves(weights, torch.float64), torch.tensor(sequences[0])
        for causal in (True, False):
            other = ref.hidden_by_torch_modules(w, config, tokens, causal)
            assert torch.allclose(ref.hidden(w, config, tokens, causal), other, rtol=1e-12, atol=1e-12)

    def calculate(dtype):
        w = leaves(weights, dtype)
        padded, cotangent = torch.zeros(len(starts), positions, VOCABULARY, dtype=dtype), torch.zeros(len(starts), positions, VOCABULARY)
        total = 0
        for row, (tokens, seed_gradient) in enumerate(zip(sequences, cotangents)):
            logits = ref.language_model(w, config, torch.tensor(tokens))
            padded[row, starts[row] :], cotangent[row, starts[row] :] = logits.detach(), seed_gradient
            total = total + (logits * seed_gradient).sum()
        total.backward()
        linear_gradients = {key: x.grad for key, x in w.items()}
        w = leaves(weights, dtype)
        reports, gradients = ref.train(w, options, lambda now: (ref.completion_loss(now, config, completions), {}), 10)
        tensors = {
            **prefixed("weights", weights), "logits": padded, "cotangent": cotangent.to(dtype),
            **prefixed("gradients.cotangent", linear_gradients), **prefixed("gradients.completions", gradients),
        }
        return tensors, w, {"completions": reports}

    case = {
        "config": config, "positions": positions, "starts": starts, "sequences": sequences,
        "completions": [{"prompt": prompt, "tokens": tokens} for prompt, tokens in completions], "optimizer": options,
    }
    compute(f"language-model-{name}", case, calculate)


def distillation(name, config, seed):
    generator = torch.Generator().manual_seed(seed)
    output = None if config["tied"] else ("output", VOCABULARY)
    shapes = ref.shapes(config, output)
    teacher = ref.random_weights(shapes, generator)
    student = {key: w + 0.1 * torch.randn(w.shape, generator=generator) for key, w in teacher.items()}
    stop, limit = 0, 6
    prompts = [ints(generator, 1, VOCABULARY, n) for n in (2, 5, 3)]
    negatives = [ints(generator, 1, VOCABULARY, n) for n in (1, 2, 7)]

    def generation(length, stopped):
        return ints(generator, 1, VOCABULARY, length - 1) + (ints(generator, 1, VOCABULARY, 1) if not stopped else [stop])

    lengths = [[(6, False), (3, True), (6, True)], [(1, True), (5, True), (6, False)], [(4, True), (2, True), (6, True)]]
    generations = [[generation(*shape) for shape in row] for row in lengths]
    assert len({tuple(tokens) for row in generations for tokens in row}) == 9, "the tests tell generations by their tokens"
    embeddings = torch.randn(3, 3, 4, generator=generator)
    common = {"prompts": prompts, "temperature": 0.99, "stopToken": stop, "maxTokens": limit, "jsdWeight": 0.5}
    two = [row[:2] for row in generations]
    scenarios = {
        "reverse": {
            "divergence": "reverse", "negatives": [negatives[0]] * 3, "scales": [3, 3, 3], "diversityWeight": 0,
            "scoreFunction": False, "generations": generations,
        },
        "forward": {
            "divergence": "forward", "negatives": negatives, "scales": [3, 1.5, 0], "diversityWeight": 15,
            "scoreFunction": False, "generations": generations,
        },
        "jsd": {
            "divergence": "jsd", "jsdWeight": 0.3, "negatives": negatives, "scales": [3, 2, 4], "diversityWeight": 5,
            "scoreFunction": False, "generations": two,
        },
        "scoreFunction": {
            "divergence": "reverse", "temperature": 0.7, "negatives": negatives, "scales": [3, 1, 2],
            "diversityWeight": 5, "scoreFunction": True, "generations": generations,
        },
    }
    scenarios = {key: {**common, **scenario} for key, scenario in scenarios.items()}
    options = {**OPTIMIZER, "maxGradientNorm": 20, "totalSteps": 5}

    def calculate(dtype):
        tensors, runs, t = {**prefixed("student", student), **prefixed("teacher", teacher)}, {}, leaves(teacher, dtype)
        for key, scenario in scenarios.items():
            count = len(scenario["generations"][0])
            loss_of = lambda now: ref.distillation(now, t, config, scenario, embeddings[:, :count].double())
            runs[key], gradients = ref.train(leaves(student, dtype), options, loss_of, 5)
            tensors.update(prefixed(f"gradients.{key}", gradients))
        return {**tensors, "embeddings": embeddings}, {}, runs

    case = {"config": config, "scenarios": scenarios, "optimizer": options}
    compute(f"distillation-{name}", case, calculate)


def sequence_encoder(name, config, seed, max_norm):
    config = {**{key: value for key, value in config.items() if key != "tied"}, "dimensions": 7}
    generator = torch.Generator().manual_seed(seed)
    weights = ref.random_weights(ref.shapes(config, ("projection", config["dimensions"])), generator)
    pairs = [[ints(generator, 0, VOCABULARY, n) for n in lengths] for lengths in [(3, 8), (9, 1), (5, 5), (1, 4), (7, 6)]]
    options, temperature = {**OPTIMIZER, "maxGradientNorm": max_norm}, 0.2

    def calculate(dtype):
        w = leaves(weights, dtype)
        sides = [torch.stack([ref.encoder(w, config, torch.tensor(pair[side])) for pair in pairs]) for side in (0, 1)]
        loss_of = lambda now: (ref.contrastive_loss(now, config, pairs, temperature), {})
        reports, gradients = ref.train(w, options, loss_of, 10)
        tensors = {**prefixed("weights", weights), "left": sides[0].detach(), "right": sides[1].detach(), **prefixed("gradients", gradients)}
        return tensors, w, {"contrastive": reports}

    case = {"config": config, "pairs": pairs, "temperature": temperature, "optimizer": options}
    compute(f"encoder-{name}", case, calculate)


if __name__ == "__main__":
    torch.set_num_threads(1)
    print(f"PyTorch {torch.__version__}")
    for number, (model, max_norm) in enumerate({"learned": 2, "rotary": 1.5, "sinusoidal": 1.2, "unbiased": 3}.items()):
        language_model(model, MODELS[model], 100 + number, max_norm)
    for number, model in enumerate(["learned", "rotary"]):
        distillation(model, MODELS[model], 200 + number)
    for number, model in enumerate(["sinusoidal", "rotary"]):
        sequence_encoder(model, MODELS[model], 300 + number, 2)
