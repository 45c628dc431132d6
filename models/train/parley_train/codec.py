"""The speech codec of the fixed voice: 12.5 Hz, 4 books, source-filter decoder.

The first three books say which phone sounds in each third of the tick (taken from the teacher's own durations, as others
distil their first book from a recogniser), a third late, so that the decoder knows what comes next; the last says pitch and
loudness. There is nothing else in a code, so that the network has little to get wrong: words come out as words.
No encoder is learned. The decoder is causal with no look-ahead: one token in, 80 ms of sound out. Its histories are explicit, so
that the step graph can carry them.
"""
from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional as F

from .synth import HARMONIC_BANDS, HOP, NOISE_BANDS, NOISE_TABLE, SIZE, Synth

CODES, BOOKS, LATENT = 256, 4, 192
THIRDS = 3  # of a tick: a phone each
PHONES = "_ɪntɹəsdilæaʊkɛzðmfpɑowɚɔevʌubɾhʃŋɡjɐʲɜθᵻʒʔx"  # IPA of the teacher; the index is the code, 0 is silence
PROSODY = 3  # log F0 early and late in the tick, and loudness
FRAMES = 8  # of 10 ms in a token


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
        past, new = x, None
        if self.causal:
            past = torch.cat([history, x], 1)
            new = past[:, -(self.kernel - 1):]
        y = self.in_time(past, int(x.shape[1])) if self.causal and torch.onnx.is_in_onnx_export() else self.depth(past.transpose(1, 2)).transpose(1, 2)
        return x + self.shrink(F.gelu(self.grow(self.norm(y)), approximate="tanh")), new

    def in_time(self, past: torch.Tensor, count: int) -> torch.Tensor:
        """The depthwise convolution as one product and one sum, for a graph: of a few columns ONNX Runtime's own takes several times as long."""
        windows = past if count == 1 else past[:, torch.arange(count).unsqueeze(1) + torch.arange(self.kernel)]
        return (windows * self.depth.weight.squeeze(1).T).sum(-2, keepdim=count == 1) + self.depth.bias


class Books(nn.Module):
    """Codes [B, T, BOOKS] -> latents: the sum of their vectors."""

    def __init__(self) -> None:
        super().__init__()
        self.tables = nn.ModuleList([nn.Embedding(CODES, LATENT) for _ in range(BOOKS)])

    def forward(self, codes: torch.Tensor) -> torch.Tensor:
        return sum(table(codes[..., k]) for k, table in enumerate(self.tables))


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
        self.books, self.decoder, self.synth = Books(), Decoder(), Synth()

    def sound(self, codes: torch.Tensor) -> torch.Tensor:
        """codes [B, T, BOOKS] -> sound [B, T·1280], as the step graph makes it, all at once."""
        f0, voiced, harmonic, breath, _ = self.decoder(self.books(codes), self.decoder.initial(codes.shape[0]))
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
        self.books, self.decoder, self.synth = codec.books, codec.decoder, codec.synth

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
