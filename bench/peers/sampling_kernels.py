"""Drawing from guided logits, with top-k and top-p, and the diversity reward, as sequences of PyTorch operations."""

import torch

from harness import DTYPES, Peer
from shapes import shapes

SCALE, TEMPERATURE = 3.0, 0.99


def log_probabilities(cond, uncond, top_k, top_p):
    """Of the distribution that is drawn from: guided, cut to the top k, renormalised, cut to the mass p."""
    logits = (uncond.float() + SCALE * (cond.float() - uncond.float())) / TEMPERATURE
    if top_k is not None:
        least = torch.topk(logits, top_k, dim=-1).values[:, -1:]
        logits = logits.masked_fill(logits < least, float("-inf"))
    if top_p is not None:
        ordered, order = torch.sort(logits, dim=-1, descending=True)
        before = ordered.softmax(-1).cumsum(-1) - ordered.softmax(-1)
        ordered = ordered.masked_fill(before >= top_p, float("-inf"))
        logits = torch.empty_like(logits).scatter_(-1, order, ordered)
    return logits.log_softmax(-1)


def drawing(top_k, top_p):
    def draw(inputs):
        log_p = log_probabilities(inputs[0], inputs[1], top_k, top_p)
        tokens = torch.multinomial(log_p.exp(), 1)
        return tokens, log_p.gather(-1, tokens)

    return draw


def diversity_reward(inputs):
    """1 − cosine to the others of the prompt; the baseline of one is the mean over the pairs without it."""
    (embeddings,) = inputs
    samples = embeddings.shape[1]
    unit = torch.nn.functional.normalize(embeddings, dim=-1)
    distance = 1 - unit @ unit.transpose(1, 2)
    distance = distance * (1 - torch.eye(samples, device=distance.device))
    total = distance.sum(-1)
    reward = total / (samples - 1)
    pairs = total.sum(-1, keepdim=True)
    advantage = reward - (pairs - 2 * total) / ((samples - 1) * (samples - 2))
    return reward, advantage, pairs[:, 0] / (samples * (samples - 1))


def main():
    peer = Peer()
    draws = {
        "sampleGuided": (None, None), "sampleGuided, top-k 50": (50, None), "sampleGuided, top-p 0.9": (None, 0.9),
    }
    cond, uncond = [2 * torch.randn(4, 301, device=peer.device) for _ in range(2)]
    for what, filters in draws.items():
        peer.reference(what, {"cond": cond, "uncond": uncond, "logProbs": log_probabilities(cond, uncond, *filters)})
    embeddings = torch.randn(3, 5, 17, device=peer.device)
    reward, advantage, diversity = diversity_reward([embeddings])
    values = {"embeddings": embeddings, "reward": reward, "advantage": advantage, "diversity": diversity}
    peer.reference("diversityReward", values)

    rows, vocab = shape = shapes(peer.small)["draw"]
    for dtype in ["bfloat16", "float32"]:
        make = lambda _: [(2 * torch.randn(shape, device=peer.device)).to(DTYPES[dtype]) for _ in range(2)]
        size = 2 * rows * vocab * torch.empty(0, dtype=DTYPES[dtype]).element_size()
        sets = peer.sets(size, make)
        for what, filters in draws.items():
            draw = drawing(*filters)
            peer.compare(what, shape, dtype, {"eager": draw, "compile": peer.compiled(draw)}, sets, bytes=size)
    for shape in shapes(peer.small)["diversity"]:
        size = 4 * shape[0] * shape[1] * shape[2]
        sets = peer.sets(size, lambda _: [torch.randn(shape, device=peer.device)])
        versions = {"eager": diversity_reward, "compile": peer.compiled(diversity_reward)}
        peer.compare("diversityReward", shape, "float32", versions, sets, bytes=size)
    peer.finish()


if __name__ == "__main__":
    with torch.no_grad():
        main()
