"""The frame of every peer script: options, timing, results."""

import argparse
import json
import math
import os
import statistics
import struct
import sys
import time

sys.dont_write_bytecode = True
import torch

BEYOND_CACHE = 256 * 2**20  # bytes; more than twice the L2 cache of today's GPUs
ROUND_MS = 4
MOST_CALLS = 64
DTYPES = {"bfloat16": torch.bfloat16, "float32": torch.float32}


def text(shape):
    return "[" + ", ".join(str(d) for d in shape) + "]"


class Peer:
    """What a script was asked for, and what it finds out: JSON like that of bench/gpu/stage.mjs."""

    def __init__(self):
        parser = argparse.ArgumentParser()
        parser.add_argument("--json")
        parser.add_argument("--reference", help="a safetensors file of small inputs and their results, to compare with")
        parser.add_argument("--small", action="store_true")
        parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
        parser.add_argument("--no-compile", action="store_true")
        options = parser.parse_args()
        self.small, self.device, self.reference_path, self.path = options.small, options.device, options.reference, options.json
        self.measurements, self.notes, self.references = [], [], {}
        self.can_compile = hasattr(torch, "compile") and options.device == "cuda" and not options.no_compile
        if options.device == "cuda" and not torch.cuda.is_available():
            sys.exit("this PyTorch sees no GPU; --device cpu rehearses")
        torch.manual_seed(1)
        self.note(f"PyTorch {torch.__version__} on {torch.cuda.get_device_name() if self.device == 'cuda' else 'the CPU'}")
        if not self.can_compile:
            self.note("torch.compile was left out")

    def note(self, line):
        self.notes.append(line)
        print(line, flush=True)

    def synchronize(self):
        if self.device == "cuda":
            torch.cuda.synchronize()

    def compiled(self, function):
        """`function` by torch.compile, or None where that is left out. Each is compiled for its shapes alone."""
        if not self.can_compile:
            return None
        torch._dynamo.reset()
        return torch.compile(function, dynamic=False)

    def sets(self, bytes_of_one, make):
        """As many sets of inputs as it takes for none to be in the cache at its turn."""
        count = 2 if self.small else max(1, math.ceil(BEYOND_CACHE / bytes_of_one))
        return [make(i) for i in range(count)]

    def measure(self, what, shape, dtype, how, body):
        """Keeps what `body` returns; one that raises is kept as failed and stops nothing."""
        record = {"what": what, "shape": shape if isinstance(shape, str) else text(shape), "dtype": dtype, "how": how}
        try:
            record.update(body())
        except Exception as error:  # out of memory, a compiler's failure
            record["failed"] = f"{type(error).__name__}: {error}"[:300]
        self.measurements.append(record)
        print(json.dumps(record), flush=True)
        self.write()

    def compare(self, what, shape, dtype, versions, sets, **facts):
        """Times each version, a function of one set of inputs, and its peak memory."""
        for how, function in versions.items():
            if function is not None:
                self.measure(what, shape, dtype, how, lambda: {**timed(self, sets, function), **facts})

    def write(self):
        if not self.path:
            return
        temporary = f"{self.path}.{os.getpid()}"
        with open(temporary, "w") as file:
            json.dump({"notes": self.notes, "checks": [], "measurements": self.measurements}, file, indent=1)
        os.replace(temporary, self.path)

    def reference(self, name, tensors):
        """Adds small tensors to the reference file, under `name`."""
        self.references.update({f"{name}.{key}": tensor for key, tensor in tensors.items()})

    def finish(self, metadata=None):
        if self.reference_path:
            save(self.reference_path, self.references, metadata or {})
        self.write()
        sys.exit(1 if any("failed" in m for m in self.measurements) else 0)


def timed(peer, sets, function, rounds=15, seconds=1.0):
    """Milliseconds of one call, as bench/gpu/speed/timing.mjs takes them; on the CPU by the clock."""
    turn = 0

    def run(calls):
        nonlocal turn
        if peer.device == "cuda":
            begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
            begin.record()
        start = time.perf_counter()
        for _ in range(calls):
            function(sets[turn % len(sets)])
            turn += 1
        if peer.device == "cpu":
            return 1000 * (time.perf_counter() - start)
        end.record()
        torch.cuda.synchronize()
        return begin.elapsed_time(end)

    for _ in range(len(sets) + 2):  # the first calls compile
        run(1)
    peak = None
    if peer.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        run(1)
        peak = torch.cuda.max_memory_allocated() - before
    once = min(run(1), run(1))
    calls = min(MOST_CALLS, max(1, round(ROUND_MS / max(once, 1e-3))))
    times, begin = [], time.perf_counter()
    while len(times) < 3 or (len(times) < rounds and time.perf_counter() - begin < seconds):
        times.append(run(calls) / calls)
    return {**spread(times), "beyondInputs": peak}


def timed_on_host(peer, step, warm_up=2, rounds=7, seconds=12):
    """Milliseconds of one whole step by the clock; the step waits for its own end."""
    for _ in range(warm_up):
        step()
    peer.synchronize()
    times, begin = [], time.perf_counter()
    while len(times) < 2 or (len(times) < rounds and time.perf_counter() - begin < seconds):
        start = time.perf_counter()
        step()
        peer.synchronize()
        times.append(1000 * (time.perf_counter() - start))
    return spread(times)


def spread(times):
    return {"ms": statistics.median(times), "lowest": min(times), "highest": max(times), "rounds": len(times)}


TYPES = {torch.float32: "F32", torch.int32: "I32"}


def save(path, tensors, metadata):
    """Writes the safetensors format: header length, header, data."""
    header, chunks, offset = {"__metadata__": metadata}, [], 0
    for name, tensor in tensors.items():
        tensor = tensor.detach().cpu().contiguous()
        data = tensor.numpy().tobytes()
        shape = list(tensor.shape)
        header[name] = {"dtype": TYPES[tensor.dtype], "shape": shape, "data_offsets": [offset, offset + len(data)]}
        chunks.append(data)
        offset += len(data)
    line = json.dumps(header).encode()
    line += b" " * (-len(line) % 8)
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(line)) + line + b"".join(chunks))
