"""AdamW, with Muon for the trunk's matrices: their momentum is made orthogonal before it is applied.

Muon: K. Jordan 2024; the scale that lets it share AdamW's rate: Moonshot AI 2025 (arXiv 2502.16982).
"""
from __future__ import annotations

import torch
from torch import nn


def orthogonal(g: torch.Tensor, rounds: int = 5) -> torch.Tensor:
    """The nearest semi-orthogonal matrix, roughly, by a quintic Newton-Schulz iteration. g [..., m, n]."""
    a, b, c = 3.4445, -4.7750, 2.0315
    tall = g.shape[-2] > g.shape[-1]
    x = g.mT if tall else g
    x = x / (x.norm(dim=(-2, -1), keepdim=True) + 1e-7)
    for _ in range(rounds):
        s = x @ x.mT
        x = a * x + (b * s + c * (s @ s)) @ x
    return x.mT if tall else x


class Optimiser:
    def __init__(self, model: nn.Module, kind: str = "muon", decay: float = 0.02, momentum: float = 0.95) -> None:
        self.decay, self.momentum = decay, momentum
        trunk = [m.weight for n, m in model.named_modules() if isinstance(m, nn.Linear) and n.startswith("layers.")] if kind == "muon" else []
        self.groups: dict[tuple, list[nn.Parameter]] = {}  # matrices of one shape are done together
        for w in trunk:
            self.groups.setdefault(tuple(w.shape), []).append(w)
        self.memory = {shape: torch.zeros(len(ws), *shape) for shape, ws in self.groups.items()}
        rest = [p for p in model.parameters() if not any(p is w for w in trunk)]
        self.adam = torch.optim.AdamW(rest, 1e-3, betas=(0.9, 0.95), weight_decay=decay)

    @torch.no_grad()
    def step(self, rate: float) -> None:
        for group in self.adam.param_groups:
            group["lr"] = rate
        self.adam.step()
        for shape, weights in self.groups.items():
            g = torch.stack([w.grad for w in weights])
            memory = self.memory[shape].mul_(self.momentum).add_(g, alpha=1 - self.momentum)
            blend = torch.lerp(g, memory, self.momentum)
            m, n = shape
            parts = shape[0] // shape[1] if m == 3 * n else 1  # query, key and value are three matrices
            update = orthogonal(blend.reshape(-1, m // parts, n)).reshape(-1, m, n)
            scale = 0.2 * max(m // parts, n) ** 0.5
            for w, u in zip(weights, update):
                w.mul_(1 - rate * self.decay).sub_(u, alpha=rate * scale)


def bfloat16() -> None:
    """Products in bfloat16 where the processor has them."""
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
