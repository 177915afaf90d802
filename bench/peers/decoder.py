"""Sampling with a static key/value cache; on a GPU each token is one replay of a CUDA graph."""

import torch


class Decoder:
    """For a fixed number of rows and fixed lengths: what a graph needs. With two branches the second half of the
    batch is the unconditional one."""

    def __init__(self, model, rows, prompt, answer, guidance=None, graph=True, temperature=0.99, dtype=torch.float32):
        config, device = model.config, next(model.parameters()).device
        self.model, self.rows, self.prompt, self.answer = model, rows, prompt, answer
        self.guidance, self.temperature = guidance, temperature
        self.all_rows = rows * (1 if guidance is None else 2)
        capacity, dim = prompt + answer, config["width"] // config["heads"]
        make = lambda: torch.zeros(self.all_rows, config["heads"], capacity, dim, device=device, dtype=dtype)
        self.caches = [(make(), make()) for _ in range(config["depth"])]
        self.tokens = torch.zeros(self.all_rows, 1, dtype=torch.long, device=device)
        self.place = torch.zeros(1, dtype=torch.long, device=device)
        self.keys = torch.arange(capacity, device=device)
        self.first = torch.arange(prompt, device=device)
        self.history = torch.zeros(rows, answer, dtype=torch.long, device=device)
        self.log_probs = torch.zeros(rows, answer, device=device)
        self.graph = None
        if graph and device.type == "cuda":
            self._capture()

    def _capture(self):
        self.place.fill_(self.prompt)
        side = torch.cuda.Stream()
        side.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(side):
            for _ in range(2):
                self._step()
        torch.cuda.current_stream().wait_stream(side)
        self.place.fill_(self.prompt)
        self.graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(self.graph):
            self._step()

    def _draw(self, logits):
        """Takes the next token of every row, and keeps it where `place` says."""
        logits = logits.float()
        if self.guidance is not None:
            cond, uncond = logits.chunk(2)
            logits = uncond + self.guidance * (cond - uncond)
        if self.temperature == 0:
            log_p = torch.zeros_like(logits)
            tokens = logits.argmax(-1, keepdim=True)
        else:
            log_p = (logits / self.temperature).log_softmax(-1)
            # The exponential race: a draw that needs no wait for the device.
            tokens = (log_p.exp() / torch.empty_like(log_p).exponential_()).argmax(-1, keepdim=True)
        at = self.place + 1 - self.prompt
        self.history.index_copy_(1, at, tokens)
        self.log_probs.index_copy_(1, at, log_p.gather(-1, tokens))
        self.tokens.copy_(tokens if self.guidance is None else torch.cat([tokens, tokens]))

    def _step(self):
        """Feeds the last tokens at `place` and draws the next."""
        mask = (self.keys <= self.place)[None, None, None]
        self._draw(self.model(self.tokens, self.caches, self.place, mask))
        self.place += 1

    @torch.no_grad()
    def generate(self, prompts):
        """prompts [all rows, prompt] → tokens [rows, answer], on the host."""
        logits = self.model(prompts, self.caches, self.first)
        self.place.fill_(self.prompt - 1)
        self._draw(logits)
        self.place += 1
        for _ in range(self.answer - 1):
            self.graph.replay() if self.graph else self._step()
        return self.history.cpu()
