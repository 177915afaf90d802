"""The project's models and losses in PyTorch, written for being obviously right and not for speed.

Every sequence is run alone and unpadded, so that padding, position offsets and attention masks are tested against a
computation that has none. Gradients come from PyTorch's autograd, updates from torch.optim.AdamW. Weights are a
dictionary by the library's parameter names; linear weights are [inputs, outputs].
"""

import math

import torch
import torch.nn.functional as F

EPSILON = 1e-5
ACTIVATIONS = {
    "gelu": F.gelu,
    "gelu-tanh": lambda x: F.gelu(x, approximate="tanh"),
    "silu": F.silu,
}


def shapes(config, output):
    """Shapes of all parameters. `output`: name and width of the last linear layer, or None where it is tied."""
    width, inner, hidden = config["width"], config["heads"] * config["headWidth"], config["feedForwardWidth"]
    result = {"embedding.weight": (config["vocabularySize"], width)}

    def linear(name, inputs, outputs, bias):
        result[f"{name}.weight"] = (inputs, outputs)
        if bias:
            result[f"{name}.bias"] = (outputs,)

    def norm(name):
        result[f"{name}.gain"] = (width,)
        if config["norm"] == "layer" and config["bias"]:
            result[f"{name}.bias"] = (width,)

    if config["positions"] == "learned":
        result["positions.weight"] = (config["maxPositions"], width)
    for i in range(config["depth"]):
        norm(f"blocks.{i}.attention.norm")
        linear(f"blocks.{i}.attention.qkv", width, 3 * inner, config["bias"])
        linear(f"blocks.{i}.attention.out", inner, width, config["bias"])
        norm(f"blocks.{i}.feedForward.norm")
        linear(f"blocks.{i}.feedForward.in", width, (2 if config["gated"] else 1) * hidden, config["bias"])
        linear(f"blocks.{i}.feedForward.out", hidden, width, config["bias"])
    norm("norm")
    if output:
        linear(output[0], width, output[1], False)
    return result


def random_weights(shapes_by_name, generator):
    """Far larger than a usual start, so that every nonlinearity is exercised; exact in float32."""
    weights = {}
    for name, shape in shapes_by_name.items():
        noise = torch.randn(shape, generator=generator, dtype=torch.float32)
        if name.endswith(".gain"):
            weights[name] = 1 + 0.2 * noise
        elif name.endswith(".bias"):
            weights[name] = 0.2 * noise
        elif name.startswith(("embedding", "positions")):
            weights[name] = 0.7 * noise
        else:
            weights[name] = noise / math.sqrt(shape[0])
    return weights


def linear(w, name, x):
    return F.linear(x, w[f"{name}.weight"].T, w.get(f"{name}.bias"))


def normalize(w, name, x, kind):
    gain = w[f"{name}.gain"]
    if kind == "layer":
        return F.layer_norm(x, gain.shape, gain, w.get(f"{name}.bias"), EPSILON)
    return x / torch.sqrt((x * x).mean(-1, keepdim=True) + EPSILON) * gain


def sinusoids(count, width, dtype):
    """Row p: sin(p θ_i) for the first half, cos(p θ_i) for the rest, θ_i = 10000^(−i / half)."""
    half = (width + 1) // 2
    angles = torch.outer(torch.arange(count, dtype=torch.float64), 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half))
    return torch.cat([angles.sin(), angles.cos()[:, : width - half]], 1).to(dtype)


def rotate(x):
    """Rotary positions of x [positions, heads, headWidth]: elements i and i + headWidth/2 as one complex number."""
    half = x.shape[-1] // 2
    place = torch.arange(x.shape[0], dtype=torch.float64)
    angles = torch.outer(place, 10000.0 ** (-torch.arange(half, dtype=torch.float64) / half)).to(x.dtype)
    turned = torch.complex(x[..., :half], x[..., half:]) * torch.polar(torch.ones_like(angles), angles)[:, None, :]
    return torch.cat([turned.real, turned.imag], -1)


def attend(w, name, x, config, causal):
    n, heads, size = x.shape[0], config["heads"], config["headWidth"]
    q, k, v = linear(w, f"{name}.qkv", x).view(n, 3, heads, size).unbind(1)
    if config["positions"] == "rotary":
        q, k = rotate(q), rotate(k)
    scores = torch.einsum("ihd,jhd->hij", q, k) / math.sqrt(size)
    if causal:
        scores = scores.masked_fill(torch.ones(n, n).triu(1).bool(), -math.inf)
    mixed = torch.einsum("hij,jhd->ihd", scores.softmax(-1), v).reshape(n, heads * size)
    return linear(w, f"{name}.out", mixed)


def feed_forward(w, name, x, config):
    activate = ACTIVATIONS[config["activation"]]
    inner = linear(w, f"{name}.in", x)
    if config["gated"]:
        gate, value = inner.chunk(2, -1)
        return linear(w, f"{name}.out", activate(gate) * value)
    return linear(w, f"{name}.out", activate(inner))


def embed(w, config, tokens):
    x = w["embedding.weight"][tokens]
    if config["positions"] == "learned":
        x = x + w["positions.weight"][: len(tokens)]
    if config["positions"] == "sinusoidal":
        x = x + sinusoids(len(tokens), config["width"], x.dtype)
    return x


def hidden(w, config, tokens, causal):
    """The normalised last layer of one sequence, [positions, width]."""
    x = embed(w, config, tokens)
    for i in range(config["depth"]):
        name = f"blocks.{i}"
        x = x + attend(w, f"{name}.attention", normalize(w, f"{name}.attention.norm", x, config["norm"]), config, causal)
        x = x + feed_forward(w, f"{name}.feedForward", normalize(w, f"{name}.feedForward.norm", x, config["norm"]), config)
    return normalize(w, "norm", x, config["norm"])


def language_model(w, config, tokens):
    """Logits [positions, vocab] of one sequence."""
    y = hidden(w, config, tokens, True)
    return y @ (w["embedding.weight"].T if config["tied"] else w["output.weight"])


def encoder(w, config, tokens):
    """Embedding [dimensions] of one sequence."""
    return hidden(w, config, tokens, False).mean(0) @ w["projection.weight"]


def hidden_by_torch_modules(w, config, tokens, causal):
    """`hidden` by torch.nn.TransformerEncoderLayer, for the configs it can express: a check of this file."""
    x = embed(w, config, tokens)[None]
    n = len(tokens)
    for i in range(config["depth"]):
        layer = torch.nn.TransformerEncoderLayer(
            config["width"], config["heads"], config["feedForwardWidth"], dropout=0.0, batch_first=True, norm_first=True,
            activation=ACTIVATIONS[config["activation"]], layer_norm_eps=EPSILON, dtype=x.dtype,
        )
        attention, forward = f"blocks.{i}.attention", f"blocks.{i}.feedForward"
        layer.load_state_dict({
            "self_attn.in_proj_weight": w[f"{attention}.qkv.weight"].T, "self_attn.in_proj_bias": w[f"{attention}.qkv.bias"],
            "self_attn.out_proj.weight": w[f"{attention}.out.weight"].T, "self_attn.out_proj.bias": w[f"{attention}.out.bias"],
            "linear1.weight": w[f"{forward}.in.weight"].T, "linear1.bias": w[f"{forward}.in.bias"],
            "linear2.weight": w[f"{forward}.out.weight"].T, "linear2.bias": w[f"{forward}.out.bias"],
            "norm1.weight": w[f"{attention}.norm.gain"], "norm1.bias": w[f"{attention}.norm.bias"],
            "norm2.weight": w[f"{forward}.norm.gain"], "norm2.bias": w[f"{forward}.norm.bias"],
        })
        x = layer(x, torch.ones(n, n).triu(1).bool() if causal else None)
    return normalize(w, "norm", x[0], config["norm"])


def completion_logits(w, config, prompt, tokens):
    """Logits [tokens, vocab] from which each token of a completion is predicted."""
    return language_model(w, config, torch.tensor(prompt + tokens[:-1]))[len(prompt) - 1 :]


def completion_loss(w, config, completions):
    """Mean negative log-likelihood of all completions' tokens together."""
    total = 0
    for prompt, tokens in completions:
        logits = completion_logits(w, config, prompt, tokens)
        total = total + F.cross_entropy(logits, torch.tensor(tokens), reduction="sum")
    return total / sum(len(tokens) for _, tokens in completions)


def contrastive_loss(w, config, pairs, temperature):
    """Symmetric InfoNCE over the pairs."""
    a, b = (torch.stack([encoder(w, config, torch.tensor(pair[side])) for pair in pairs]) for side in (0, 1))
    scores = F.normalize(a) @ F.normalize(b).T / temperature
    targets = torch.arange(len(pairs))
    return (F.cross_entropy(scores, targets) + F.cross_entropy(scores.T, targets)) / 2


def divergence(log_p, log_q, kind, jsd_weight):
    """Of each row, from student to teacher, in nats. F.kl_div(b, a) is KL(a ‖ b)."""
    kl = lambda a, b: F.kl_div(b, a, reduction="none", log_target=True).sum(-1)
    if kind == "reverse":
        return kl(log_p, log_q)
    if kind == "forward":
        return kl(log_q, log_p)
    log_m = torch.log((1 - jsd_weight) * log_p.exp() + jsd_weight * log_q.exp())
    return (1 - jsd_weight) * kl(log_p, log_m) + jsd_weight * kl(log_q, log_m)


def advantages(embeddings):
    """embeddings [prompts, samples, dimensions] → advantages [prompts][samples], diversities [prompts]."""
    distances = []
    for group in embeddings:
        distances.append([[float(1 - F.cosine_similarity(x, y, dim=0)) for y in group] for x in group])
    mean = lambda values: sum(values) / len(values)
    pairs = lambda n, without=None: [(i, j) for i in range(n) for j in range(i) if without not in (i, j)]
    diversities = [mean([d[i][j] for i, j in pairs(len(d))]) for d in distances]
    result = []
    for p, d in enumerate(distances):
        n = len(d)
        row = []
        for i in range(n):
            reward = mean([d[i][j] for j in range(n) if j != i])
            if n > 2:
                baseline = mean([d[j][k] for j, k in pairs(n, without=i)])
            else:
                baseline = mean([other for q, other in enumerate(diversities) if q != p])
            row.append(reward - baseline)
        result.append(row)
    return result, diversities


def distillation(student, teacher, config, scenario, embeddings):
    """One step's loss, with the sampled tokens held constant, and what the trainer reports of it."""
    temperature, beta = scenario["temperature"], scenario["diversityWeight"]
    prompts, count = scenario["prompts"], len(scenario["generations"][0])
    advantage, diversities = advantages(embeddings)
    sequences = len(prompts) * count
    loss, total, entropy, tokens_seen = 0, 0.0, 0.0, 0
    for p, prompt in enumerate(prompts):
        scale, negative = scenario["scales"][p], scenario["negatives"][p]
        for i, tokens in enumerate(scenario["generations"][p]):
            log_p = (completion_logits(student, config, prompt, tokens) / temperature).log_softmax(-1)
            with torch.no_grad():
                conditional = completion_logits(teacher, config, prompt, tokens)
                unconditional = completion_logits(teacher, config, negative, tokens)
                guided = unconditional + scale * (conditional - unconditional)
                log_q = (guided / temperature).log_softmax(-1)
            d = divergence(log_p, log_q, scenario["divergence"], scenario["jsdWeight"])
            chosen = log_p[torch.arange(len(tokens)), torch.tensor(tokens)]
            # minimise (1/P) Σ_prompts [(1/N) Σ_i Σ_n D_n − β · diversity]; ∇E[diversity] = (2/N) Σ_i A_i ∇log p(y_i)
            loss = loss + d.sum() / sequences - beta * (2 / count) * advantage[p][i] * chosen.sum() / len(prompts)
            if scenario["scoreFunction"]:
                future = d.detach().flip(0).cumsum(0).flip(0) - d.detach()
                loss = loss + (future * chosen).sum() / sequences
            total += float(d.sum())
            entropy += float(-(log_p.exp() * log_p).sum())
            tokens_seen += len(tokens)
    report = {
        "kl": total / sequences,
        "klPerToken": total / tokens_seen,
        "entropy": entropy / tokens_seen,
        "diversity": sum(diversities) / len(diversities),
    }
    return loss, report


def learning_rate(step, options):
    """Of update `step` = 1, 2, …: a linear rise, then half a cosine."""
    warmup, total, share = options["warmupSteps"], options["totalSteps"], options["finalShare"]
    if step <= warmup:
        return options["learningRate"] * step / warmup
    left = (1 + math.cos(math.pi * (step - warmup) / (total - warmup))) / 2
    return options["learningRate"] * (share + (1 - share) * left)


def train(weights, options, loss_of, steps):
    """Trains `weights` (leaf tensors) in place; the reports of all steps and the gradients of the first."""
    matrices = [w for w in weights.values() if w.dim() == 2]
    others = [w for w in weights.values() if w.dim() != 2]
    optimizer = torch.optim.AdamW(
        [{"params": matrices, "weight_decay": options["weightDecay"]}, {"params": others, "weight_decay": 0.0}],
        betas=(options["beta1"], options["beta2"]), eps=options["epsilon"],
    )
    reports, first = [], None
    for step in range(1, steps + 1):
        optimizer.zero_grad()
        loss, report = loss_of(weights)
        loss.backward()
        gradients = {name: w.grad for name, w in weights.items()}
        if first is None:
            first = {name: g.clone() for name, g in gradients.items()}
        norm = math.sqrt(sum(float((g.double() ** 2).sum()) for g in gradients.values()))
        for g in gradients.values():
            g *= min(1.0, options["maxGradientNorm"] / norm)
        rate = learning_rate(step, options)
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.step()
        reports.append({"loss": float(loss), **report, "gradientNorm": norm, "learningRate": rate})
    return reports, first
