"""Source-filter synthesis, differentiable and streamable: a pulse train through a minimum-phase filter plus filtered noise.

One frame is 10 ms (160 samples at 16 kHz). A segment is 320 samples under a Hann window, filtered with a 640-point DFT and
overlap-added. DFTs are matrix products, so that every execution provider can run them. The phase is carried modulo 1.
Minimum phase from the log magnitude by the Hilbert relation of the real cepstrum (Oppenheim & Schafer, ch. 12).
"""
from __future__ import annotations

import numpy as np
import torch
from torch import nn

RATE, HOP, SEGMENT, SIZE = 16_000, 160, 320, 640
BINS = SIZE // 2 + 1
HARMONIC_BANDS, NOISE_BANDS = 64, 40
NOISE_TABLE = 1 << 15


def _mel(f: np.ndarray) -> np.ndarray:
    return 2595 * np.log10(1 + f / 700)


def interpolation(bands: int) -> torch.Tensor:
    """[bands, BINS]: linear interpolation, on the mel scale, of band values to DFT bins."""
    at = _mel(np.arange(BINS) * RATE / SIZE) / _mel(np.array(RATE / 2)) * (bands - 1)
    low = np.clip(np.floor(at).astype(int), 0, bands - 2)
    matrix = np.zeros((bands, BINS), np.float32)
    matrix[low, np.arange(BINS)] = 1 - (at - low)
    matrix[low + 1, np.arange(BINS)] += at - low
    return torch.from_numpy(matrix)


def hilbert() -> torch.Tensor:
    """[BINS, BINS]: log magnitude -> minimum phase in radians."""
    n, k = np.arange(1, SIZE // 2), np.arange(BINS)
    weight = np.ones(BINS) * 2
    weight[[0, -1]] = 1
    cepstrum = np.cos(2 * np.pi * np.outer(k, n) / SIZE) * weight[:, None] / SIZE
    return torch.from_numpy((cepstrum @ (-2 * np.sin(2 * np.pi * np.outer(n, k) / SIZE))).astype(np.float32))


class Synth(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        t, k = np.arange(SIZE), np.arange(BINS)
        angle = 2 * np.pi * np.outer(t[:SEGMENT], k) / SIZE
        weight = np.ones(BINS) * 2
        weight[[0, -1]] = 1
        inverse = 2 * np.pi * np.outer(k, t) / SIZE
        for name, value in (
            ("window", np.hanning(SEGMENT + 1)[:SEGMENT]),
            ("forward_dft", np.concatenate([np.cos(angle), -np.sin(angle)], 1)),
            ("inverse_dft", np.concatenate([np.cos(inverse) * weight[:, None], -np.sin(inverse) * weight[:, None]], 0) / SIZE),
            ("noise", np.random.default_rng(5).standard_normal(NOISE_TABLE)),
            ("up", np.stack([1 - np.arange(HOP) / HOP, np.arange(HOP) / HOP])),
        ):
            self.register_buffer(name, torch.from_numpy(np.asarray(value, np.float32)), persistent=False)
        self.register_buffer("harmonic_bands", interpolation(HARMONIC_BANDS), persistent=False)
        self.register_buffer("noise_bands", interpolation(NOISE_BANDS), persistent=False)
        self.register_buffer("to_phase", hilbert(), persistent=False)

    def per_sample(self, frames: torch.Tensor, before: torch.Tensor) -> torch.Tensor:
        """[B, n] frame values -> [B, n·HOP], ramping from the value before."""
        past = torch.cat([before, frames[:, :-1]], 1)
        return (past.unsqueeze(2) * self.up[0] + frames.unsqueeze(2) * self.up[1]).flatten(1)

    def pulses(self, f0: torch.Tensor, voiced: torch.Tensor, f0_before: torch.Tensor, voiced_before: torch.Tensor,
               phase: torch.Tensor, whole: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        """f0 in Hz and voicing in [0, 1], [B, n] -> pulse train [B, n·HOP] of unit power, and the phase after it [B, 1]."""
        step = self.per_sample(f0, f0_before) / RATE
        if whole:
            total = torch.cumsum(step.double(), 1)
            at = torch.remainder(phase + total, 1.0).float()
        else:
            at = torch.remainder(phase + torch.cumsum(step, 1), 1.0)
        wrapped = (at < step).float()
        amount = wrapped * torch.rsqrt(step)
        late = torch.clamp(at / step, max=1.0)  # how long ago, in samples, the wrap was
        here = amount * (1 - late)
        earlier = amount * late  # belongs one sample earlier
        train = here + torch.cat([earlier[:, 1:], torch.zeros_like(earlier[:, :1])], 1)
        return train * self.per_sample(voiced, voiced_before), at[:, -1:]

    def filtered(self, pulses: torch.Tensor, noise: torch.Tensor, harmonic: torch.Tensor, breath: torch.Tensor) -> torch.Tensor:
        """Sources with HOP samples of past, [B, (n+1)·HOP]; log envelopes [B, n, bands] -> segments [B, n, SIZE]."""
        spectra = []
        for source in (pulses, noise):
            blocks = source.reshape(source.shape[0], -1, HOP)
            spectra.append((torch.cat([blocks[:, :-1], blocks[:, 1:]], 2) * self.window) @ self.forward_dft)
        log_h, log_n = harmonic @ self.harmonic_bands, breath @ self.noise_bands
        size, angle = torch.exp(log_h), log_h @ self.to_phase
        hr, hi, hn = size * torch.cos(angle), size * torch.sin(angle), torch.exp(log_n)
        pr, pi = spectra[0][..., :BINS], spectra[0][..., BINS:]
        nr, ni = spectra[1][..., :BINS], spectra[1][..., BINS:]
        return torch.cat([pr * hr - pi * hi + nr * hn, pr * hi + pi * hr + ni * hn], 2) @ self.inverse_dft

    def overlap(self, segments: torch.Tensor, tail: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Adds segments at their hops. tail [B, SIZE-HOP] of what came before -> sound [B, n·HOP], new tail."""
        n, pieces = segments.shape[1], SIZE // HOP
        blocks = segments.reshape(segments.shape[0], n, pieces, HOP)
        past = tail.reshape(tail.shape[0], pieces - 1, HOP)
        total = 0
        for p in range(pieces):
            shifted = torch.nn.functional.pad(blocks[:, :, p], (0, 0, p, pieces - 1 - p))
            total = total + shifted
        total = total + torch.nn.functional.pad(past, (0, 0, 0, n))
        return total[:, :n].flatten(1), total[:, n:].flatten(1)

    def whole(self, f0, voiced, harmonic, breath, generator: torch.Generator | None = None) -> torch.Tensor:
        """A whole utterance [B, n] frames -> [B, n·HOP]; the sound is HOP later than its frames."""
        b, n = f0.shape
        start = torch.randint(0, NOISE_TABLE, (b, 1), generator=generator)
        noise = self.noise[(start + torch.arange((n + 1) * HOP)) % NOISE_TABLE]
        train, _ = self.pulses(f0, voiced, f0[:, :1], voiced[:, :1], torch.zeros(b, 1), whole=True)
        segments = self.filtered(torch.nn.functional.pad(train, (HOP, 0)), noise, harmonic, breath)
        return self.overlap(segments, torch.zeros(b, SIZE - HOP))[0]
