"""PyTorch on the CPU, told over standard input what to compute: one JSON object a line, answered by one.

{"make": name, "shape": [...], "threads": n}  makes inputs: {"version": v, "blas": library}
{"run": n}                                    computes n times: {"seconds": s}
{"check": name, "shape": [...], "inputs": {name: base64 of float32}}: {"result": base64 of float32}
"""

import base64
import json
import os
import sys
import time

sys.dont_write_bytecode = True
import torch

from blas import blas

SCALE, WEIGHT, WEIGHTS = 3.0, 0.3, (1.0, 2.0, 3.0)


def draw(top_k=None, top_p=None):
    def once(cond, uncond):
        guided = uncond + SCALE * (cond - uncond)
        if top_k:
            values, ids = guided.topk(min(top_k, guided.shape[1]))
            return ids.gather(1, torch.softmax(values, 1).multinomial(1))
        p = torch.softmax(guided, 1)
        if top_p:
            p, ids = p.sort(1, descending=True)
            p = torch.where(p.cumsum(1) - p < top_p, p, torch.zeros(()))
            return ids.gather(1, p.multinomial(1))
        return p.multinomial(1)

    return once


def distill(student, cond, uncond):
    student = student.detach().requires_grad_()
    log_p = torch.log_softmax(student, 1)
    with torch.no_grad():
        log_q = torch.log_softmax(uncond + SCALE * (cond - uncond), 1)
    torch.nn.functional.kl_div(log_q, log_p, reduction="sum", log_target=True).backward()
    return student.grad


def diversity(embeddings):
    unit = torch.nn.functional.normalize(embeddings, dim=2)
    cosine = unit @ unit.transpose(1, 2)
    samples = embeddings.shape[1]
    return (samples - cosine.sum(2) - (1 - cosine.diagonal(dim1=1, dim2=2))) / (samples - 1)


def average(a, b, c):
    total = sum(WEIGHTS)
    x, y, z = (w / total for w in WEIGHTS)
    return torch.add(a * x, b, alpha=y).add_(c, alpha=z)


# Name: the names of the inputs and the computation.
CASES = {
    "guidedLogits": (("cond", "uncond"), lambda cond, uncond: torch.lerp(uncond, cond, SCALE)),
    "sampleGuided": (("cond", "uncond"), draw()),
    "sampleGuided, top-k 50": (("cond", "uncond"), draw(top_k=50)),
    "sampleGuided, top-p 0.9": (("cond", "uncond"), draw(top_p=0.9)),
    "distillationLoss": (("student", "cond", "uncond"), distill),
    "diversityReward": (("embeddings",), diversity),
    "lerp": (("a", "b"), lambda a, b: torch.lerp(a, b, WEIGHT)),
    "weightedAverage of 3": (("a", "b", "c"), average),
}
# Results of these are written where the last ones were, as ours are.
IN_PLACE = {
    "guidedLogits": lambda out, cond, uncond: torch.lerp(uncond, cond, SCALE, out=out),
    "lerp": lambda out, a, b: torch.lerp(a, b, WEIGHT, out=out),
}

current = None
for line in sys.stdin:
    command = json.loads(line)
    if "make" in command:
        torch.set_num_threads(command["threads"])
        torch.manual_seed(1)
        name, shape = command["make"], command["shape"]
        names, once = CASES[name]
        inputs = [2 * torch.randn(shape) for _ in names]
        if name in IN_PLACE:
            out, in_place = torch.empty(shape), IN_PLACE[name]
            current = lambda: in_place(out, *inputs)
        else:
            current = lambda: once(*inputs)
        answer = {"version": torch.__version__, "blas": blas()}
    elif "run" in command:
        begin = time.perf_counter()
        for _ in range(command["run"]):
            current()
        answer = {"seconds": time.perf_counter() - begin}
    elif "forget" in command:
        current = inputs = out = None
        answer = {}
    else:
        names, once = CASES[command["check"]]
        given = [
            torch.frombuffer(bytearray(base64.b64decode(command["inputs"][name])), dtype=torch.float32).view(command["shape"])
            for name in names
        ]
        result = once(*given).to(torch.float32).contiguous()
        answer = {"result": base64.b64encode(bytes(result.numpy().tobytes())).decode()}
    print(json.dumps(answer), flush=True)
