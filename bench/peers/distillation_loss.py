"""Guided-teacher reverse KL with a policy-gradient term, and its gradient in the student's logits, by autograd."""

import torch

from harness import DTYPES, Peer
from shapes import shapes

SCALE, TEMPERATURE = 3.0, 0.99


def loss_and_gradient(inputs):
    student, cond, uncond, weights, tokens, coefficients = inputs
    student = student.detach().requires_grad_()
    log_p = (student.float() / TEMPERATURE).log_softmax(-1)
    with torch.no_grad():
        guided = uncond.float() + SCALE * (cond.float() - uncond.float())
        log_q = (guided / TEMPERATURE).log_softmax(-1)
    per_token = (log_p.exp() * (log_p - log_q)).sum(-1)
    chosen = log_p.gather(-1, tokens[:, None])[:, 0]
    loss = (weights * per_token).sum() - (coefficients * chosen).sum()
    (gradient,) = torch.autograd.grad(loss, student)
    return loss.detach(), per_token.detach(), gradient


def inputs_of(peer, shape, dtype):
    rows, vocab = shape
    logits = [(2 * torch.randn(shape, device=peer.device)).to(dtype) for _ in range(3)]
    weights, coefficients = [torch.full((rows,), value / rows, device=peer.device) for value in (1.0, 0.1)]
    return [*logits, weights, (7 * torch.arange(rows, device=peer.device)) % vocab, coefficients]


def main():
    peer = Peer()
    inputs = inputs_of(peer, (5, 77), torch.float32)
    loss, per_token, gradient = loss_and_gradient(inputs)
    names = ["student", "cond", "uncond", "weights", "tokens", "coefficients"]
    small = {name: x.int() if name == "tokens" else x for name, x in zip(names, inputs)}
    for ours, theirs in zip(compilable(inputs), (loss, per_token, gradient)):
        assert torch.allclose(ours, theirs, rtol=1e-4, atol=1e-6), "the gradient by hand is autograd's"
    peer.reference("distillationLoss", {**small, "loss": loss.reshape(1), "perToken": per_token, "grad": gradient})

    for shape in shapes(peer.small)["loss"]:
        for dtype in ["bfloat16", "float32"]:
            one = shape[0] * shape[1] * torch.empty(0, dtype=DTYPES[dtype]).element_size()
            sets = peer.sets(3 * one, lambda _: inputs_of(peer, shape, DTYPES[dtype]))
            versions = {"eager": loss_and_gradient, "compile": peer.compiled(compilable)}
            peer.compare("distillationLoss", shape, dtype, versions, sets, bytes=4 * one)
            del sets
    peer.finish()


def compilable(inputs):
    """The same with the gradient by hand, in one graph: the most a compiler can be given."""
    student, cond, uncond, weights, tokens, coefficients = inputs
    log_p = (student.float() / TEMPERATURE).log_softmax(-1)
    guided = uncond.float() + SCALE * (cond.float() - uncond.float())
    log_q = (guided / TEMPERATURE).log_softmax(-1)
    p, ratio = log_p.exp(), log_p - log_q
    per_token = (p * ratio).sum(-1)
    chosen = log_p.gather(-1, tokens[:, None])[:, 0]
    loss = (weights * per_token).sum() - (coefficients * chosen).sum()
    divergence = weights[:, None] * p * (ratio - per_token[:, None])
    taken = torch.arange(student.shape[1], device=student.device)[None] == tokens[:, None]
    gradient = (divergence + coefficients[:, None] * (p - taken.float())) / TEMPERATURE
    return loss, per_token, gradient.to(student.dtype)


if __name__ == "__main__":
    main()
