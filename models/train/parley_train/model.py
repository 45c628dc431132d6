"""pico: one causal transformer over 80 ms ticks. Every tick it takes what was heard, said and put on the text channel; it gives a
text token, what it heard as text, whether it speaks, and the speech codes.

A sequence is [facts | stream]. Facts see earlier facts; the stream sees all facts and its own past. A stream query has two
rotary positions: its own tick towards the stream, and the number of facts tokens towards the facts, so that facts are
as near after an hour as in the first second. See models/README.md for the step graph.

Every row also gets *traces*: sums of the tokens before it that fade at three rates. A stream row so knows what was just said and
what was asked; a fact row knows its key (a fact's trace begins at its `<fact>`). One layer of attention can then find a
value by its key and copy it in order; without traces that took several layers and several times the training.
"""
from __future__ import annotations

from dataclasses import asdict, dataclass

import torch
from torch import nn
from torch.nn import functional as F

from .codec import BOOKS, CODES, Block
from .device import portable
from .hearing import PHONEMES, SUB, TONE_NAMES
from .moonshine import FEATURES

DECAYS = (0.6, 0.9, 0.97)


@dataclass
class Size:
    width: int = 192
    layers: int = 6
    heads: int = 4
    hidden: int = 512
    vocabulary: int = 1536
    ear: int = 256
    ear_blocks: int = 6
    depth: int = 384

    @classmethod
    def named(cls, name: str) -> "Size":
        return {"pico": cls(), "base": cls(width=512, layers=10, heads=8, hidden=1408, ear=384, depth=768)}[name]


class Ear(nn.Module):
    """Front-end features -> width; causal, blocks of five ticks each."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(FEATURES))
        self.register_buffer("scale", torch.ones(FEATURES))
        self.stem = nn.Linear(FEATURES, size.ear)
        self.blocks = nn.ModuleList([Block(size.ear, 5, 2) for _ in range(size.ear_blocks)])
        self.norm = nn.LayerNorm(size.ear)
        self.out = nn.Linear(size.ear, size.width)

    def initial(self, batch: int) -> list[torch.Tensor]:
        return [torch.zeros(batch, b.kernel - 1, b.width) for b in self.blocks]

    def forward(self, features: torch.Tensor, histories: list[torch.Tensor]):
        x, new = self.stem((features - self.mean) * self.scale), []
        for block, history in zip(self.blocks, histories):
            x, past = block(x, history)
            new.append(past)
        return self.out(self.norm(x)), new


def rotate(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x [..., E] by angles [..., E/2]: first half against second half."""
    a, b = x.chunk(2, -1)
    return torch.cat([a * cos - b * sin, a * sin + b * cos], -1)


def angles(position: torch.Tensor, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    theta = 10_000.0 ** (-torch.arange(size // 2, dtype=torch.float64) * 2 / size)
    phase = position.double().unsqueeze(-1) * theta
    return torch.cos(phase).float(), torch.sin(phase).float()


def traces(tokens: torch.Tensor, same: torch.Tensor | None = None) -> torch.Tensor:
    """[B, T, d] -> [B, T, DECAYS, d]: sums that fade, over all rows so far, or those that `same` [B, T, T] counts."""
    t = tokens.shape[1]
    age = (torch.arange(t).unsqueeze(1) - torch.arange(t)).float()
    fade = torch.stack([torch.where(age >= 0, r ** age.clamp(min=0), torch.zeros(())) for r in DECAYS])
    if same is None:
        return torch.einsum("kij,bjd->bikd", fade, tokens)
    return torch.einsum("bkij,bjd->bikd", fade.unsqueeze(0) * same.unsqueeze(1), tokens)


class Norm(nn.Module):
    """RMS norm in plain operators."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + 1e-6) * self.weight


class Layer(nn.Module):
    def __init__(self, size: Size) -> None:
        super().__init__()
        d = size.width
        self.heads, self.size = size.heads, d // size.heads
        self.norm1, self.norm2 = Norm(d), Norm(d)
        self.qkv, self.out = nn.Linear(d, 3 * d, bias=False), nn.Linear(d, d, bias=False)
        self.gate, self.up, self.down = (nn.Linear(d, size.hidden, bias=False), nn.Linear(d, size.hidden, bias=False),
                                         nn.Linear(size.hidden, d, bias=False))

    def split(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        b, t, _ = x.shape
        return tuple(p.reshape(b, t, self.heads, self.size).transpose(1, 2) for p in self.qkv(self.norm1(x)).chunk(3, -1))

    def forward(self, x: torch.Tensor, own, view, bias: torch.Tensor, facts: int) -> torch.Tensor:
        """own and view are (cos, sin) of each row's position in its segment and as seen by the facts; bias [B, 1, N, N]."""
        q, k, v = self.split(x)
        k = rotate(k, *own)
        scores = torch.cat([rotate(q, *view) @ k[:, :, :facts].transpose(2, 3), rotate(q, *own) @ k[:, :, facts:].transpose(2, 3)], 3)
        weights = torch.softmax(scores * self.size ** -0.5 + bias, -1)
        x = x + self.out((weights @ v).transpose(1, 2).flatten(2))
        return x + self.feed(x)

    def feed(self, x: torch.Tensor) -> torch.Tensor:
        y = self.norm2(x)
        return self.down(F.silu(self.gate(y)) * self.up(y))


class Depth(nn.Module):
    """Trunk state -> the codes of one tick, coarse to fine, each knowing those before it."""

    def __init__(self, size: Size) -> None:
        super().__init__()
        d = size.width
        self.enter = nn.Linear(d, d)
        self.norms = nn.ModuleList([Norm(d) for _ in range(BOOKS)])
        self.grow = nn.ModuleList([nn.Linear(d, size.depth) for _ in range(BOOKS)])
        self.out = nn.ModuleList([nn.Linear(size.depth, CODES) for _ in range(BOOKS)])
        self.codes = nn.ModuleList([nn.Embedding(CODES, d) for _ in range(BOOKS - 1)])

    def logits(self, s: torch.Tensor, k: int) -> torch.Tensor:
        return self.out[k](F.silu(self.grow[k](self.norms[k](s))))

    def forward(self, h: torch.Tensor, codes: torch.Tensor) -> list[torch.Tensor]:
        """h [N, d], codes [N, BOOKS] taught -> logits of each book."""
        s, out = self.enter(h), []
        for k in range(BOOKS):
            out.append(self.logits(s, k))
            if k < BOOKS - 1:
                s = s + self.codes[k](codes[:, k])
        return out

    def choose(self, h: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """h [1, d], Gumbel noise [BOOKS, CODES] -> codes [1, BOOKS]."""
        s, out = self.enter(h), []
        for k in range(BOOKS):
            code = torch.argmax(self.logits(s, k) + noise[k], -1)
            out.append(code)
            if k < BOOKS - 1:
                s = s + self.codes[k](code)
        return torch.stack(out, -1)


class Pico(nn.Module):
    def __init__(self, size: Size = Size()) -> None:
        super().__init__()
        self.size, d = size, size.width
        self.ear = Ear(size)
        self.words = nn.Embedding(size.vocabulary, d)
        self.from_channel, self.from_text, self.from_heard = (nn.Linear(d, d, bias=False) for _ in range(3))
        self.from_traces = nn.Linear(len(DECAYS) * d, d, bias=False)
        self.codes = nn.ModuleList([nn.Embedding(CODES, d) for _ in range(BOOKS)])
        self.silent = nn.Parameter(torch.zeros(d))
        self.layers = nn.ModuleList([Layer(size) for _ in range(size.layers)])
        self.norm = Norm(d)
        self.to_text, self.to_heard = nn.Linear(d, d, bias=False), nn.Linear(d, d, bias=False)
        self.text_bias, self.heard_bias = nn.Parameter(torch.zeros(size.vocabulary)), nn.Parameter(torch.zeros(size.vocabulary))
        self.to_phonemes, self.to_tone = nn.Linear(d, SUB * PHONEMES), nn.Linear(d, len(TONE_NAMES))  # from the ear; for training alone
        self.speaks = nn.Linear(d, 1)
        self.depth = Depth(size)
        self.apply(self._start)
        with torch.no_grad():  # words look alike on every stream, and half of the heads look for what looks alike, from the first step
            for table in (self.from_channel, self.from_text, self.from_heard):
                table.weight.mul_(0.3).add_(torch.eye(d))
            for layer in self.layers:
                q, k = layer.qkv.weight[: d // 2], layer.qkv.weight[d: d + d // 2]
                k.copy_(q)

    @classmethod
    def restored(cls, saved: dict) -> "Pico":
        """Of a checkpoint. One of another front end keeps everything but the ear's first layer; a head that only training needs may be new."""
        model, weights = cls(Size(**saved["size"])), saved["model"]
        if weights["ear.mean"].shape != model.ear.mean.shape:
            weights = {k: v for k, v in weights.items() if k not in ("ear.mean", "ear.scale", "ear.stem.weight", "ear.stem.bias")}
        missing, other = model.load_state_dict(weights, strict=False)
        assert not other and all(k.startswith(("ear.", "to_tone.")) for k in missing), (missing, other)
        return model

    @staticmethod
    def _start(module: nn.Module) -> None:
        if isinstance(module, nn.Embedding):
            nn.init.normal_(module.weight, std=0.05)
        elif isinstance(module, nn.Linear):
            nn.init.normal_(module.weight, std=module.in_features ** -0.5 * 0.8)
            if module.bias is not None:
                nn.init.zeros_(module.bias)

    def table(self, project: nn.Linear, ids: torch.Tensor) -> torch.Tensor:
        """Embedded words; token 0 is nothing at all."""
        return project(self.words(ids)) * (ids > 0).unsqueeze(-1)

    def tokens(self, text, heard, channel) -> torch.Tensor:
        """What the stream's tokens of one tick are to the network, [B, T, d]: what its traces are made of."""
        return self.table(self.from_text, text) + self.table(self.from_heard, heard) + self.table(self.from_channel, channel)

    def recall(self, traces: torch.Tensor) -> torch.Tensor:
        """Traces [B, T, DECAYS, d] -> [B, T, d]."""
        return self.from_traces(traces.flatten(2))

    def voice(self, codes, speaking) -> torch.Tensor:
        on = speaking.unsqueeze(-1)
        return sum(self.codes[k](codes[..., k]) for k in range(BOOKS)) * on + self.silent * (1 - on)

    def forward(self, facts: torch.Tensor, begins: torch.Tensor, count: torch.Tensor, sound, channel, text, heard, codes, speaking) -> torch.Tensor:
        """facts [B, F] ids with `count` [B] valid ones and the number of the fact that each belongs to, `begins` [B, F]; the
        stream's inputs [B, T, …], those but `sound` (of the ear, [B, T, d]) and `channel` a tick late -> states [B, T, d],
        normalised. sound None: text alone."""
        b, f = facts.shape
        t = text.shape[1]
        told, said = self.table(self.from_channel, facts), self.tokens(text, heard, channel)
        same = (begins.unsqueeze(2) == begins.unsqueeze(1)).float()
        stream = said + self.recall(traces(said)) + self.voice(codes, speaking)
        if sound is not None:
            stream = stream + sound
        x = torch.cat([told + self.recall(traces(told, same)), stream], 1)
        row = torch.arange(f).expand(b, f)
        own = angles(torch.cat([row, torch.arange(t).expand(b, t)], 1).unsqueeze(1), self.size.width // self.size.heads)
        view = angles(torch.cat([row, count.unsqueeze(1).expand(b, t)], 1).unsqueeze(1), self.size.width // self.size.heads)
        n = f + t
        allowed = torch.ones(n, n).tril().bool().expand(b, n, n).clone()
        allowed[:, :, :f] &= (row < count.unsqueeze(1)).unsqueeze(1)
        allowed[:, range(n), range(n)] = True
        bias = torch.where(allowed, 0.0, -1e9).unsqueeze(1)
        for layer in self.layers:
            x = layer(x, own, view, bias, f)
        return self.norm(x[:, f:])

    def text_logits(self, h: torch.Tensor) -> torch.Tensor:
        return self.to_text(h) @ self.words.weight.T + self.text_bias

    def heard_logits(self, h: torch.Tensor) -> torch.Tensor:
        return self.to_heard(h) @ self.words.weight.T + self.heard_bias


def save(model: Pico, path, **more) -> None:
    temp = path.with_suffix(".tmp")
    torch.save({"model": portable(model.state_dict()), "size": asdict(model.size), **more}, temp)
    temp.replace(path)
