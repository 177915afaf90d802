"""One distillation step of the 125M model: rollouts of the student by a static cache and a CUDA graph, the guided teacher's
two branches, the student's forward and backward pass, clipping and fused AdamW."""

import copy

import torch

from decoder import Decoder
from harness import Peer, timed_on_host
from shapes import model, workload
from training import adamw, lower
from transformer import Transformer

SCALE, TEMPERATURE = 3.0, 0.99


class Distillation:
    def __init__(self, peer, graph):
        self.peer, config = peer, model(peer.small)
        size = workload(peer.small)["distillation"]
        self.rows, self.prompt, self.answer = size["prompts"] * size["samples"], size["prompt"], size["answer"]
        self.student = Transformer(config).to(peer.device)
        self.low = copy.deepcopy(self.student).to(torch.bfloat16)  # what decodes
        self.teacher = copy.deepcopy(self.low)
        self.optimizer = adamw(self.student.parameters(), peer.device, lr=1e-5)
        with torch.no_grad():
            self.decoder = Decoder(self.low, self.rows, self.prompt, self.answer, None, graph, TEMPERATURE, torch.bfloat16)
        distinct = torch.randint(1, config["vocabularySize"], (size["prompts"], self.prompt), device=peer.device)
        self.prompts = distinct.repeat_interleave(size["samples"], 0)
        self.negatives = torch.ones_like(self.prompts)

    def step(self):
        with torch.no_grad():
            for low, full in zip(self.low.parameters(), self.student.parameters()):
                low.copy_(full)
            answers = self.decoder.generate(self.prompts).to(self.peer.device)
            both = torch.cat([torch.cat([self.prompts, answers], 1), torch.cat([self.negatives, answers], 1)])
            cond, uncond = self.teacher(both[:, :-1])[:, self.prompt - 1 :].float().chunk(2)
            log_q = ((uncond + SCALE * (cond - uncond)) / TEMPERATURE).log_softmax(-1)
            del cond, uncond
        with lower(self.peer, "bfloat16"):
            logits = self.student(both[: self.rows, :-1])[:, self.prompt - 1 :]
        log_p = (logits.float() / TEMPERATURE).log_softmax(-1)
        loss = (log_p.exp() * (log_p - log_q)).sum() / self.rows
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.student.parameters(), 1.0)
        self.optimizer.step()
        return loss.item()


def main():
    peer = Peer()
    size = workload(peer.small)["distillation"]
    shape = (size["prompts"], size["samples"], size["prompt"], size["answer"])
    for how in ["graph", "eager"] if peer.device == "cuda" else ["eager"]:
        def body():
            distillation = Distillation(peer, how == "graph")
            if peer.device == "cuda":
                torch.cuda.reset_peak_memory_stats()
            time = timed_on_host(peer, distillation.step, rounds=5)
            peak = torch.cuda.max_memory_allocated() if peer.device == "cuda" else None
            return {**time, "tokens": distillation.rows * distillation.answer, "peak": peak}

        peer.measure("distillation step", shape, "bfloat16", how, body)
    peer.finish()


if __name__ == "__main__":
    main()
