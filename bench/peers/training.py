"""Next-token training of the 125M model: autocast to bfloat16, scaled_dot_product_attention, clipping, fused AdamW; and
AdamW alone over the same parameters."""

import contextlib

import torch
import torch.nn.functional as F

from harness import Peer, timed, timed_on_host
from shapes import model, workload
from transformer import Transformer


def adamw(parameters, device, **options):
    """Fused where this PyTorch has it. Vectors are not decayed."""
    parameters = list(parameters)
    decay = options.pop("weight_decay", 0.0)
    groups = [
        {"params": [p for p in parameters if p.dim() > 1], "weight_decay": decay},
        {"params": [p for p in parameters if p.dim() == 1], "weight_decay": 0.0},
    ]
    if device == "cuda":
        options["fused"] = True
    return torch.optim.AdamW(groups, betas=(0.9, 0.95), eps=1e-8, **options)


def lower(peer, dtype):
    return torch.autocast(peer.device, dtype=torch.bfloat16) if dtype == "bfloat16" else contextlib.nullcontext()


def training_step(peer, lm, optimizer, dtype, tokens, forward=None):
    """One update; returns the loss, for which it waits."""
    with lower(peer, dtype):
        logits = (forward or lm)(tokens[:, :-1])
    loss = F.cross_entropy(logits.float().flatten(0, 1), tokens[:, 1:].flatten())
    optimizer.zero_grad(set_to_none=True)
    loss.backward()
    torch.nn.utils.clip_grad_norm_(lm.parameters(), 1.0)
    optimizer.step()
    return loss.item()


def reference(peer):
    """A small model, its logits, greedy tokens and the losses of three updates, for cfgdistill to repeat."""
    from decoder import Decoder

    config = model(True)
    lm = Transformer(config).to(peer.device)
    with torch.no_grad():
        for p in lm.parameters():
            p.add_(0.1 * torch.randn_like(p))
    peer.references.update({f"weights.{k}": v.detach().clone() for k, v in lm.named_as_cfgdistill().items()})
    tokens = torch.randint(0, config["vocabularySize"], (3, 10), device=peer.device)
    with torch.no_grad():
        logits = lm(tokens)
        both = torch.cat([tokens, torch.ones_like(tokens)])
        plain = Decoder(lm, 3, 10, 8, None, True, temperature=0).generate(tokens)
        guided = Decoder(lm, 3, 10, 8, 3.0, True, temperature=0).generate(both)
    optimizer = adamw(lm.parameters(), peer.device, lr=1e-2, weight_decay=0.1)
    losses = [training_step(peer, lm, optimizer, "float32", tokens) for _ in range(3)]
    peer.reference("model", {
        "tokens": tokens.int(), "logits": logits, "plain": plain.int(), "guided": guided.int(), "losses": torch.tensor(losses),
    })
    return config


def main():
    import json

    peer = Peer()
    config = reference(peer)
    size, full = workload(peer.small)["training"], model(peer.small)
    shape = (size["rows"], size["positions"])
    tokens = torch.randint(1, full["vocabularySize"], (shape[0], shape[1] + 1), device=peer.device)
    for dtype in ["bfloat16", "float32"]:
        for how in ["eager", "compile"]:
            def body():
                lm = Transformer(full).to(peer.device)
                forward = lm if how == "eager" else peer.compiled(lm)
                optimizer = adamw(lm.parameters(), peer.device, lr=1e-4, weight_decay=0.1)
                step = lambda: training_step(peer, lm, optimizer, dtype, tokens, forward)
                if peer.device == "cuda":
                    torch.cuda.reset_peak_memory_stats()
                time = timed_on_host(peer, step)
                peak = torch.cuda.max_memory_allocated() if peer.device == "cuda" else None
                return {**time, "tokens": shape[0] * shape[1], "peak": peak}

            if how == "eager" or (peer.can_compile and dtype == "bfloat16"):
                peer.measure("training step", shape, dtype, how, body)

    def update():
        lm = Transformer(full).to(peer.device)
        optimizer = adamw(lm.parameters(), peer.device, lr=1e-4, weight_decay=0.1)
        for p in lm.parameters():
            p.grad = torch.full_like(p, 1e-3)
        count = sum(p.numel() for p in lm.parameters())
        return {**timed(peer, [None], lambda _: optimizer.step()), "bytes": 28 * count, "parameters": count}

    peer.measure("adamw", "model", "float32", "eager", update)
    peer.finish({"format": "cfgdistill", "kind": "TransformerLM", "config": json.dumps(config)})


if __name__ == "__main__":
    main()
