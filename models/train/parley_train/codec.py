"""The speech codec of the fixed voice: 12.5 Hz, K codebooks of 256, residual vector quantisation, source-filter decoder.

The encoder runs only in training and looks as far as it likes. The decoder is causal with no look-ahead: one token in,
80 ms of sound out. Its histories are explicit, so that the step graph can carry them.
"""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .synth import HARMONIC_BANDS, HOP, NOISE_BANDS, NOISE_TABLE, SIZE, Synth

CODES, BOOKS, LATENT = 256, 4, 64
FRAMES = 8  # of 10 ms in a token
MELS = 80


class Block(nn.Module):
    """ConvNeXt: depthwise convolution in time, then a pointwise network. Causal ones take their history."""

    def __init__(self, width: int, kernel: int = 7, grow: int = 3, causal: bool = True) -> None:
        super().__init__()
        self.kernel, self.causal, self.width = kernel, causal, width
        self.depth = nn.Conv1d(width, width, kernel, groups=width, padding=0 if causal else kernel // 2)
        self.norm = nn.LayerNorm(width)
        self.grow, self.shrink = nn.Linear(width, grow * width), nn.Linear(grow * width, width)

    def forward(self, x: torch.Tensor, history: torch.Tensor | None = None):
        """x [B, T, width]; history [B, kernel-1, width] -> y, new history (None when not causal)."""
        y, new = x.transpose(1, 2), None
        if self.causal:
            past = torch.cat([history, x], 1)
            new = past[:, -(self.kernel - 1):]
            y = past.transpose(1, 2)
        y = self.shrink(F.gelu(self.grow(self.norm(self.depth(y).transpose(1, 2))), approximate="tanh"))
        return x + y, new


class Encoder(nn.Module):
    """Log-mel, log F0 and voicing at 100 Hz -> latents at 12.5 Hz."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv1d(MELS + 2, 160, 5, padding=2)
        self.a = nn.ModuleList([Block(160, causal=False) for _ in range(2)])
        self.down1 = nn.Conv1d(160, 224, 4, 2, 1)
        self.b = nn.ModuleList([Block(224, causal=False) for _ in range(2)])
        self.down2 = nn.Conv1d(224, 320, 4, 4)
        self.c = nn.ModuleList([Block(320, 3, causal=False) for _ in range(2)])
        self.out = nn.Linear(320, LATENT)

    def forward(self, features: torch.Tensor) -> torch.Tensor:
        x = self.stem(features.transpose(1, 2)).transpose(1, 2)
        for block in self.a:
            x, _ = block(x)
        x = self.down1(x.transpose(1, 2)).transpose(1, 2)
        for block in self.b:
            x, _ = block(x)
        x = self.down2(x.transpose(1, 2)).transpose(1, 2)
        for block in self.c:
            x, _ = block(x)
        return self.out(x)


class Quantiser(nn.Module):
    """Residual vector quantisation, codebooks by moving average, dead codes restarted from the batch."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("books", torch.zeros(BOOKS, CODES, LATENT))
        self.register_buffer("counts", torch.ones(BOOKS, CODES))
        self.register_buffer("sums", torch.zeros(BOOKS, CODES, LATENT))
        self.register_buffer("ready", torch.zeros(1))

    def nearest(self, x: torch.Tensor, k: int) -> torch.Tensor:
        return (x.pow(2).sum(-1, keepdim=True) - 2 * x @ self.books[k].T + self.books[k].pow(2).sum(-1)).argmin(-1)

    def start(self, z: torch.Tensor) -> None:
        """k-means of the first batches, book by book."""
        rest = z.reshape(-1, LATENT).clone()
        for k in range(BOOKS):
            self.books[k] = rest[torch.randperm(len(rest))[:CODES]] if len(rest) >= CODES else rest[torch.randint(len(rest), (CODES,))]
            for _ in range(12):
                near = self.nearest(rest, k)
                sums = torch.zeros(CODES, LATENT).index_add_(0, near, rest)
                counts = torch.bincount(near, minlength=CODES).float()
                self.books[k] = torch.where(counts[:, None] > 0, sums / counts[:, None].clamp(min=1), rest[torch.randint(len(rest), (CODES,))])
            self.counts[k], self.sums[k] = counts.clamp(min=1), self.books[k] * counts.clamp(min=1)[:, None]
            rest = rest - self.books[k][self.nearest(rest, k)]
        self.ready.fill_(1)

    def forward(self, z: torch.Tensor, use: int = BOOKS) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """z [B, T, LATENT] -> quantised (straight-through), codes [B, T, BOOKS], commitment loss."""
        rest, total, codes = z, torch.zeros_like(z), []
        for k in range(BOOKS):
            near = self.nearest(rest.detach(), k)
            codes.append(near)
            if k < use:
                chosen = self.books[k][near]
                if self.training:
                    self.learn(rest.detach().reshape(-1, LATENT), near.reshape(-1), k)
                total, rest = total + chosen, rest - chosen
        commitment = (z - total.detach()).pow(2).mean()
        return z + (total - z).detach(), torch.stack(codes, -1), commitment

    def learn(self, x: torch.Tensor, near: torch.Tensor, k: int, keep: float = 0.98) -> None:
        with torch.no_grad():
            counts = torch.bincount(near, minlength=CODES).float()
            self.counts[k].mul_(keep).add_(counts, alpha=1 - keep)
            self.sums[k].mul_(keep).add_(torch.zeros(CODES, LATENT).index_add_(0, near, x), alpha=1 - keep)
            dead = self.counts[k] < 0.01
            if dead.any():
                fresh = x[torch.randint(len(x), (int(dead.sum()),))]
                self.sums[k][dead], self.counts[k][dead] = fresh * 0.1, 0.1
            self.books[k] = self.sums[k] / self.counts[k][:, None].clamp(min=1e-3)

    def embed(self, codes: torch.Tensor) -> torch.Tensor:
        """codes [B, T, BOOKS] -> sum of their vectors."""
        return sum(F.embedding(codes[..., k], self.books[k]) for k in range(BOOKS))


class Decoder(nn.Module):
    """Latents at 12.5 Hz -> F0, voicing and envelopes at 100 Hz. Causal; `histories` come and go."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(LATENT, 256)
        self.tokens = nn.ModuleList([Block(256, 3), Block(256, 3)])
        self.up1 = nn.Linear(256, 4 * 224)
        self.middle = nn.ModuleList([Block(224) for _ in range(4)])
        self.up2 = nn.Linear(224, 2 * 160)
        self.fine = nn.ModuleList([Block(160) for _ in range(3)])
        self.norm = nn.LayerNorm(160)
        self.heads = nn.Linear(160, 2 + HARMONIC_BANDS + NOISE_BANDS)
        with torch.no_grad():
            self.heads.weight.mul_(0.2)
            self.heads.bias.zero_()
            self.heads.bias[2:].fill_(-4.0)

    def initial(self, batch: int) -> list[torch.Tensor]:
        return [torch.zeros(batch, b.kernel - 1, b.width) for b in [*self.tokens, *self.middle, *self.fine]]

    def forward(self, z: torch.Tensor, histories: list[torch.Tensor]):
        """z [B, T, LATENT] -> log F0 (of 100 Hz) [B, 8T], voicing logit, harmonic and noise log envelopes, new histories."""
        x, new, h = self.stem(z), [], iter(histories)
        for block in self.tokens:
            x, past = block(x, next(h))
            new.append(past)
        x = self.up1(x).reshape(x.shape[0], -1, 224)
        for block in self.middle:
            x, past = block(x, next(h))
            new.append(past)
        x = self.up2(x).reshape(x.shape[0], -1, 160)
        for block in self.fine:
            x, past = block(x, next(h))
            new.append(past)
        y = self.heads(self.norm(x))
        return y[..., 0], y[..., 1], y[..., 2:2 + HARMONIC_BANDS], y[..., 2 + HARMONIC_BANDS:], new


class Codec(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.quantiser, self.decoder, self.synth = Encoder(), Quantiser(), Decoder(), Synth()

    def sound(self, codes: torch.Tensor) -> torch.Tensor:
        """codes [B, T, BOOKS] -> sound [B, T·1280], as the step graph makes it, all at once."""
        f0, voiced, harmonic, breath, _ = self.decoder(self.quantiser.embed(codes), self.decoder.initial(codes.shape[0]))
        return self.synth.whole(hertz(f0), voicing(voiced), harmonic, breath)


def hertz(log_f0: torch.Tensor) -> torch.Tensor:
    return 100.0 * torch.exp(torch.clamp(log_f0, -1.2, 2.0))


def voicing(logit: torch.Tensor) -> torch.Tensor:
    """Sharpened, so that a voice is there or is not."""
    return torch.sigmoid(2.0 * logit)


class Speech(nn.Module):
    """The streaming half for the step graph: codes of one token and all histories -> 1,280 samples and new histories."""

    def __init__(self, codec: Codec) -> None:
        super().__init__()
        self.quantiser, self.decoder, self.synth = codec.quantiser, codec.decoder, codec.synth

    def initial(self) -> list[torch.Tensor]:
        return [*self.decoder.initial(1), torch.zeros(1, 4), torch.zeros(1, HOP), torch.zeros(1, SIZE - HOP)]

    def forward(self, latent: torch.Tensor, states: list[torch.Tensor]):
        """latent [1, 1, LATENT]. The last three states: (f0, voicing, phase, place in the noise table), pulses, overlap tail."""
        carried, pulse_past, tail = states[-3:]
        f0, voiced, harmonic, breath, new = self.decoder(latent, states[:-3])
        f0, voiced = hertz(f0), voicing(voiced)
        before = torch.where(carried[:, 0:1] > 0, carried[:, 0:1], f0[:, :1])
        train, phase = self.synth.pulses(f0, voiced, before, carried[:, 1:2], carried[:, 2:3])
        place = carried[:, 3:4]
        index = torch.remainder(place + torch.arange(FRAMES * HOP + HOP).float() - HOP + NOISE_TABLE, float(NOISE_TABLE)).long()
        noise = self.synth.noise[index]
        segments = self.synth.filtered(torch.cat([pulse_past, train], 1), noise, harmonic, breath)
        sound, new_tail = self.synth.overlap(segments, tail)
        place = torch.remainder(place + FRAMES * HOP, float(NOISE_TABLE))
        return sound, [*new, torch.cat([f0[:, -1:], voiced[:, -1:], phase, place], 1), train[:, -HOP:], new_tail]
