"""Trains the codec: `python -m parley_train.train_codec --wheel WHEEL --minutes 60`. Resumes from `codec.pt`.

The sound is to have the teacher's spectra and, what tells whether a word is understood, the frames that a recogniser's encoder makes
of it (Moonshine tiny, of the wheel; the judge of the evaluation is another, whisper). What is kept is the mean of the last weights.
"""
from __future__ import annotations

import argparse
import math
import time
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F

from .codec import BOOKS, FRAMES, Codec, hertz, voicing
from .device import compute_here, placed, portable
from .encode import trimmed
from .moonshine import Original, load
from .paths import PROSODY_FILE, work
from .store import RATE, Store
from .styles import CHIME_TICKS, chime_codes, chime_sound, whisper_of
from .synth import HOP

CROP_TOKENS = 28  # words, not sounds, for the recogniser's encoder
DEPTHS = (1, 3, -1)  # of its layers, the last after its norm
UNDERSTOOD = 8.0  # weight of its frames' distance
FORGET = 0.998  # of the mean of the weights, a step
WHISPERED, CHIMES = 0.1, 0.02  # of the pieces
MELS = 80


@cache
def mel_matrix(bins: int, bands: int) -> torch.Tensor:
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(40), mel(RATE / 2), bands + 2) / 2595) - 1)
    f = np.arange(bins) * RATE / 2 / (bins - 1)
    up = (f[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - f[:, None]) / (edges[2:] - edges[1:-1])
    return placed(np.clip(np.minimum(up, down), 0, None).astype(np.float32))


WINDOWS = (256, 512, 1024)  # samples


@cache
def window(n: int) -> torch.Tensor:
    return torch.hann_window(n)


def spectrum(x: torch.Tensor, n: int, hop: int) -> torch.Tensor:
    return torch.stft(x, n, hop, window=window(n), return_complex=True).abs().transpose(1, 2)


def log_mel(x: torch.Tensor) -> torch.Tensor:
    """[B, n·HOP] -> [B, n, MELS], frame i centred at sample i·HOP."""
    return torch.log(spectrum(x, 512, HOP)[:, :-1] @ mel_matrix(257, MELS) + 1e-3)


class Voice:
    """Target-voice sound with its codes and F0, as `encode` wrote them. Every fortieth piece is kept out of training."""

    def __init__(self, names: list[str]) -> None:
        self.stores = [Store(work("teacher", n)) for n in names]
        kept = [np.load(work(f"codes-{n}.npz"), allow_pickle=True) for n in names]
        self.labels = [(list(z["codes"]), list(z["f0"])) for z in kept]
        self.centres = np.load(PROSODY_FILE)
        self.items = [(s, i) for s, (codes, _) in enumerate(self.labels) for i in range(len(codes)) if len(codes[i]) > 6]

    def get(self, s: int, i: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        store = self.stores[s]
        kind = rng.random()
        if kind < CHIMES:
            (sound, f0), still = chime_sound(), CROP_TOKENS - CHIME_TICKS
            return (np.pad(sound, (0, still * HOP * FRAMES)), np.pad(chime_codes(), ((0, still), (0, 0))), np.pad(f0, (0, still * FRAMES)))
        if kind < CHIMES + WHISPERED:
            sound, codes = whisper_of(trimmed(store.items[i], store.samples(i)), self.labels[s][0][i], self.centres)
            return sound, codes, np.zeros_like(self.labels[s][1][i])
        return trimmed(store.items[i], store.samples(i)), self.labels[s][0][i], self.labels[s][1][i]

    def batch(self, size: int, rng: np.random.Generator) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Sound [B, n·HOP], codes [B, CROP_TOKENS, BOOKS], F0 [B, n]."""
        n = CROP_TOKENS * FRAMES
        sound, f0 = np.zeros((size, n * HOP), np.float32), np.zeros((size, n), np.float32)
        codes = np.zeros((size, CROP_TOKENS, BOOKS), np.int64)
        for b in range(size):
            x, c, p = self.get(*self.items[int(rng.integers(len(self.items) // 40)) * 40 + int(rng.integers(1, 40))], rng)
            start = int(rng.integers(0, max(1, len(c) - CROP_TOKENS + 1)))
            m = min(CROP_TOKENS, len(c) - start)
            codes[b, :m] = c[start:start + m]
            sound[b, :m * HOP * FRAMES] = x[start * HOP * FRAMES:(start + m) * HOP * FRAMES]
            f0[b, :m * FRAMES] = p[start * FRAMES:(start + m) * FRAMES]
        return placed(sound), placed(codes), placed(f0)


def distance(recogniser: Original, y: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
    """Of two sounds [B, samples] in its frames, as a share of their variance."""
    with torch.no_grad():
        wanted = recogniser.depths(recogniser.columns(x))
    made = recogniser.depths(recogniser.columns(y))
    return sum(F.mse_loss(made[d], wanted[d]) / wanted[d].var() for d in DEPTHS) / len(DEPTHS)


def losses(codec: Codec, recogniser: Original, sound: torch.Tensor, codes: torch.Tensor, f0: torch.Tensor) -> dict[str, torch.Tensor]:
    log_f0, logit, harmonic, breath, _ = codec.decoder(codec.books(codes), codec.decoder.initial(len(codes)))
    voiced = (f0 > 0).float()
    # The source runs on the true pitch while training, so that partials lie on partials; between voiced parts on the guess.
    guided = torch.where(f0 > 0, f0, hertz(log_f0).detach())
    gate = voicing(logit)
    y = codec.synth.whole(guided, gate, harmonic, breath)[:, HOP:]
    x0 = sound[:, :y.shape[1]]
    out = {"mel": 1.5 * (log_mel(F.pad(y, (0, HOP))) - log_mel(F.pad(x0, (0, HOP)))).abs().mean()}
    stft = 0
    for n in WINDOWS:
        a, b = spectrum(y, n, n // 4), spectrum(x0, n, n // 4)
        stft = stft + (torch.log(a + 1e-2) - torch.log(b + 1e-2)).abs().mean() + (a - b).norm() / (b.norm() + 1e-3)
    out["stft"] = stft / 3
    target = torch.log(torch.clamp(f0, min=60.0) / 100)
    out["f0"] = 3 * ((log_f0 - target).abs() * voiced).sum() / voiced.sum().clamp(min=1)
    out["voiced"] = 0.3 * F.binary_cross_entropy_with_logits(2.0 * logit, voiced)
    half = (len(y) + 1) // 2  # it costs as much as all else together
    out["understood"] = UNDERSTOOD * distance(recogniser, y[:half], x0[:half])
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path, required=True, help="moonshine_voice 0.1.0")
    parser.add_argument("--minutes", type=float, default=30, help="of processor time")
    parser.add_argument("--batch", type=int, default=6)
    parser.add_argument("--rate", type=float, default=8e-4)
    parser.add_argument("--data", nargs="+", default=["target", "replies"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.set_float32_matmul_precision("medium")
    device = compute_here()
    torch.manual_seed(args.seed)
    codec, path, step = Codec().to(device), work("codec.pt"), 0
    if path.exists():
        saved = torch.load(path)
        codec.load_state_dict(saved["codec"])
        step = saved["step"]
    recogniser = Original(load(args.wheel)).eval().requires_grad_(False).to(device)
    torch.manual_seed(args.seed + step)
    rng = np.random.default_rng([args.seed, step])
    parameters = [*codec.books.parameters(), *codec.decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    voice, began, log = Voice(args.data), time.process_time(), open(work("logs", "codec.tsv"), "a")
    print(f"{len(voice.items)} pieces, from step {step}", flush=True)
    first, averages, mean = step, {}, {k: v.clone() for k, v in codec.state_dict().items()}
    while True:
        spent = (time.process_time() - began) / 60
        if spent > args.minutes:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step - first + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * spent / args.minutes)))
        sound, codes, f0 = voice.batch(args.batch, rng)
        # A few codes are wrong when the network gives them: one slip must not derail the sound around it.
        codes = torch.where(torch.rand(codes.shape) < 0.02, codes[torch.randperm(len(codes))], codes)
        parts = losses(codec, recogniser, sound, codes, f0)
        total = sum(parts.values())
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 2.0)
        optimiser.step()
        step += 1
        done = step - first
        for k, v in codec.state_dict().items():
            mean[k].lerp_(v, 1 - min(FORGET, done / (done + 9)))  # the first weights count for little
        for k, v in parts.items():
            averages[k] = 0.98 * averages.get(k, float(v.detach())) + 0.02 * float(v.detach())
        if step % 50 == 0:
            line = f"{step}\t{spent:.1f}\t" + "\t".join(f"{k} {v:.3f}" for k, v in averages.items())
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
        if step % 200 == 0:
            save(mean, step)
    save(mean, step)


def save(weights: dict[str, torch.Tensor], step: int) -> None:
    temp = work("codec.pt.tmp")
    torch.save({"codec": portable(weights), "step": step}, temp)
    temp.replace(work("codec.pt"))


if __name__ == "__main__":
    main()
