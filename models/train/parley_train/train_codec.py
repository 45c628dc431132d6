"""Trains the codec: `python -m parley_train.train_codec --minutes 30 [--decoder-only]`. Resumes from `codec.pt`."""
from __future__ import annotations

import argparse
import math
import time

import numpy as np
import torch
from torch.nn import functional as F

from .codec import FRAMES, MELS, Codec, hertz, voicing
from .paths import work
from .store import RATE, Store
from .synth import HOP

CROP_TOKENS = 14
WARM = 150  # steps before the codebooks are started by k-means


def mel_matrix(bins: int, bands: int) -> torch.Tensor:
    mel = lambda f: 2595 * np.log10(1 + f / 700)
    edges = 700 * (10 ** (np.linspace(mel(40), mel(RATE / 2), bands + 2) / 2595) - 1)
    f = np.arange(bins) * RATE / 2 / (bins - 1)
    up = (f[:, None] - edges[:-2]) / (edges[1:-1] - edges[:-2])
    down = (edges[2:] - f[:, None]) / (edges[2:] - edges[1:-1])
    return torch.from_numpy(np.clip(np.minimum(up, down), 0, None).astype(np.float32))


MEL = mel_matrix(257, MELS)
WINDOWS = {n: torch.hann_window(n) for n in (256, 512, 1024)}


def spectrum(x: torch.Tensor, n: int, hop: int) -> torch.Tensor:
    return torch.stft(x, n, hop, window=WINDOWS[n], return_complex=True).abs().transpose(1, 2)


def log_mel(x: torch.Tensor) -> torch.Tensor:
    """[B, n·HOP] -> [B, n, MELS], frame i centred at sample i·HOP."""
    return torch.log(spectrum(x, 512, HOP)[:, :-1] @ MEL + 1e-3)


def pitch(x: np.ndarray) -> np.ndarray:
    """F0 in Hz every 10 ms (0 where unvoiced), by DIO and StoneMask of WORLD."""
    import pyworld
    x = x.astype(np.float64)
    f0, t = pyworld.dio(x, RATE, f0_floor=60, f0_ceil=400, frame_period=10)
    return pyworld.stonemask(x, f0, t, RATE).astype(np.float32)


class Voice:
    """Target-voice sound with its F0, computed once and kept."""

    def __init__(self, names: list[str]) -> None:
        self.stores = [Store(work("teacher", n)) for n in names]
        self.items = [(s, i) for s in self.stores for i in range(len(s.items)) if s.items[i]["n"] > 16 * HOP * FRAMES // 2]
        self.f0: dict = {}

    def get(self, j: int) -> tuple[np.ndarray, np.ndarray]:
        store, i = self.items[j]
        x = store.samples(i)
        if j not in self.f0:
            self.f0[j] = pitch(x)
        return x, self.f0[j]

    def batch(self, size: int, rng: np.random.Generator, held: bool = False) -> tuple[torch.Tensor, torch.Tensor]:
        n = CROP_TOKENS * FRAMES
        sound, f0 = np.zeros((size, n * HOP), np.float32), np.zeros((size, n), np.float32)
        for b in range(size):
            j = int(rng.integers(len(self.items) // 40)) * 40 + (0 if held else int(rng.integers(1, 40)))
            x, p = self.get(min(j, len(self.items) - 1))
            start = int(rng.integers(0, max(1, len(x) // HOP - n)))
            piece = x[start * HOP:(start + n) * HOP]
            sound[b, :len(piece)] = piece
            q = p[start:start + n]
            f0[b, :len(q)] = q
        return torch.from_numpy(sound), torch.from_numpy(f0)


def features(sound: torch.Tensor, f0: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    mel = log_mel(sound)
    voiced = (f0 > 0).float()
    log_f0 = torch.log(torch.clamp(f0, min=60.0) / 100) * voiced
    return torch.cat([mel / 3 + 1, log_f0.unsqueeze(2), voiced.unsqueeze(2)], 2), mel


def losses(codec: Codec, sound: torch.Tensor, f0: torch.Tensor, use: int, quantise: bool, frozen: bool) -> dict[str, torch.Tensor]:
    x, mel = features(sound, f0)
    with torch.set_grad_enabled(not frozen and torch.is_grad_enabled()):
        z = codec.encoder(x)
        q, _, commitment = codec.quantiser(z, use) if quantise else (z, None, z.new_zeros(()))
    log_f0, logit, harmonic, breath, _ = codec.decoder(q, codec.decoder.initial(len(q)))
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
    out["commit"] = 0.25 * commitment
    return out


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--decoder-only", action="store_true")
    parser.add_argument("--batch", type=int, default=10)
    parser.add_argument("--rate", type=float, default=1.2e-3)
    parser.add_argument("--data", nargs="+", default=["target"])
    args = parser.parse_args()
    torch.manual_seed(1)
    rng = np.random.default_rng(int(time.time()))
    codec, path, step = Codec(), work("codec.pt"), 0
    if path.exists():
        saved = torch.load(path)
        codec.load_state_dict(saved["codec"])
        step = saved["step"]
    parameters = codec.decoder.parameters() if args.decoder_only else [*codec.encoder.parameters(), *codec.decoder.parameters()]
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.98), weight_decay=0.01)
    voice, began, log = Voice(args.data), time.process_time(), open(work("logs", "codec.tsv"), "a")
    print(f"{len(voice.items)} pieces, from step {step}", flush=True)
    first, averages = step, {}
    while True:
        spent = (time.process_time() - began) / 60
        if spent > args.minutes:
            break
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step - first + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * spent / args.minutes)))
        sound, f0 = voice.batch(args.batch, rng)
        quantise = step >= WARM
        codec.train(not args.decoder_only)
        if quantise and not codec.quantiser.ready:
            with torch.no_grad():
                many = [codec.encoder(features(*voice.batch(64, rng))[0]) for _ in range(6)]
                codec.quantiser.start(torch.cat(many))
        use = 4 if args.decoder_only or rng.random() < 0.7 else int(rng.integers(2, 4))
        parts = losses(codec, sound, f0, use, quantise, args.decoder_only)
        total = sum(parts.values())
        optimiser.zero_grad()
        total.backward()
        torch.nn.utils.clip_grad_norm_(parameters if isinstance(parameters, list) else codec.decoder.parameters(), 2.0)
        optimiser.step()
        step += 1
        for k, v in parts.items():
            averages[k] = 0.98 * averages.get(k, float(v.detach())) + 0.02 * float(v.detach())
        if step % 50 == 0:
            line = f"{step}\t{spent:.1f}\t" + "\t".join(f"{k} {v:.3f}" for k, v in averages.items())
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
        if step % 200 == 0:
            save(codec, step)
    save(codec, step)


def save(codec: Codec, step: int) -> None:
    temp = work("codec.pt.tmp")
    torch.save({"codec": codec.state_dict(), "step": step}, temp)
    temp.replace(work("codec.pt"))


if __name__ == "__main__":
    main()
