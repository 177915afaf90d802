"""Cached sampling of the 125M model in bfloat16, in one pass and in two."""

import copy

import torch

from decoder import Decoder
from harness import Peer, timed_on_host
from shapes import model, workload
from transformer import Transformer


def main():
    peer = Peer()
    config = model(peer.small)
    lm = Transformer(config).to(peer.device)
    low = copy.deepcopy(lm).to(torch.bfloat16)
    sizes = workload(peer.small)["sampling"]
    prompt, answer = sizes["prompt"], sizes["answer"]
    for batch in sizes["batches"]:
        prompts = torch.randint(1, config["vocabularySize"], (batch, prompt), device=peer.device)
        for what, guidance in [("sampling, one pass", None), ("sampling, two passes", 3.0)]:
            given = prompts if guidance is None else torch.cat([prompts, torch.ones_like(prompts)])

            def body(graph):
                decoder = Decoder(low, batch, prompt, answer, guidance, graph, dtype=torch.bfloat16)
                time = timed_on_host(peer, lambda: decoder.generate(given), rounds=5, seconds=5)
                return {**time, "tokens": batch * answer}

            shape = (batch, prompt, answer)
            if peer.device == "cuda":
                peer.measure(what, shape, "bfloat16", "graph", lambda: body(True))
            else:
                peer.measure(what, shape, "bfloat16", "eager", lambda: body(False))
    peer.finish()


if __name__ == "__main__":
    with torch.no_grad():
        main()
