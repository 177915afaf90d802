"""Training steps of PyTorch on the CPU, told over standard input: one JSON object a line, answered by one.

{"model": {...}, "tokens": [[...], ...], "learningRate": r}  makes a model and its optimiser: {"version": v, "blas": library}
{"of": i, "threads": n, "run": k}  makes k steps with the i-th model: {"seconds": s, "loss": l}
"""

import json
import os
import sys
import time

sys.dont_write_bytecode = True
sys.path.insert(0, os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
import torch

from blas import blas
from training import adamw, training_step
from transformer import Transformer

models = []
for line in sys.stdin:
    command = json.loads(line)
    if "model" in command:
        torch.manual_seed(1)
        lm = Transformer(command["model"])
        models.append((lm, adamw(lm.parameters(), "cpu", lr=command["learningRate"]), torch.tensor(command["tokens"])))
        answer = {"version": torch.__version__, "blas": blas()}
    else:
        torch.set_num_threads(command["threads"])
        lm, optimizer, tokens = models[command["of"]]
        begin = time.perf_counter()
        for _ in range(command["run"]):
            loss = training_step(None, lm, optimizer, "float32", tokens)
        answer = {"seconds": time.perf_counter() - begin, "loss": loss}
    print(json.dumps(answer), flush=True)
