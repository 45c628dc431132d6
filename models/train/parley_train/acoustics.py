"""Rooms, noises and faults that a kiosk's microphone meets, made by signal processing from seeds."""
from __future__ import annotations

import numpy as np
from scipy.signal import butter, fftconvolve, lfilter, resample_poly, sosfilt

RATE = 16_000


def coloured(n: int, slope: float, rng: np.random.Generator) -> np.ndarray:
    """Noise whose power falls with frequency^slope (0 white, 1 pink, 2 brown), unit RMS."""
    spectrum = np.fft.rfft(rng.standard_normal(n))
    f = np.maximum(np.arange(len(spectrum)), 8.0)
    x = np.fft.irfft(spectrum * f ** (-slope / 2), n)
    return (x / (x.std() + 1e-9)).astype(np.float32)


def music(n: int, rng: np.random.Generator) -> np.ndarray:
    """Chords and a melody of decaying partials, with a beat; unit RMS."""
    t, x = np.arange(n) / RATE, np.zeros(n, np.float32)
    beat, root = rng.uniform(0.25, 0.6), rng.uniform(110, 260)
    scale = np.array([0, 2, 4, 5, 7, 9, 11, 12, 14, 16]) if rng.random() < 0.6 else np.array([0, 2, 3, 5, 7, 8, 10, 12, 14, 15])
    for begin in np.arange(0, n / RATE, beat):
        for _ in range(int(rng.integers(1, 4))):
            f0 = root * 2 ** (rng.choice(scale) / 12)
            here = t >= begin
            age = t[here] - begin
            envelope = np.exp(-age * rng.uniform(1.5, 6)) * np.minimum(1, age / 0.01)
            for k in range(1, int(rng.integers(3, 8))):
                x[here] += (envelope * np.sin(2 * np.pi * f0 * k * age) / k ** rng.uniform(0.8, 2)).astype(np.float32)
        if rng.random() < 0.6:
            i = int(begin * RATE)
            hit = coloured(min(2000, n - i), 0, rng) * np.exp(-np.arange(min(2000, n - i)) / 400)
            x[i:i + len(hit)] += 0.6 * hit.astype(np.float32)
    return (x / (x.std() + 1e-9)).astype(np.float32)


def hum(n: int, rng: np.random.Generator) -> np.ndarray:
    t, f = np.arange(n) / RATE, rng.choice([50, 60, 100, 120]) * rng.uniform(0.99, 1.01)
    x = sum(np.sin(2 * np.pi * f * k * t + rng.uniform(0, 6)) / k for k in range(1, 8)) + 0.2 * coloured(n, 1, rng)
    return (x / x.std()).astype(np.float32)


def clatter(n: int, rng: np.random.Generator) -> np.ndarray:
    """Knocks, steps, dishes: short resonant bursts over pink noise."""
    x = 0.15 * coloured(n, 1, rng)
    for _ in range(max(1, int(n / RATE * rng.uniform(1, 6)))):
        i, m = int(rng.integers(0, n)), int(rng.integers(800, 6000))
        t = np.arange(min(m, n - i)) / RATE
        burst = sum(np.sin(2 * np.pi * rng.uniform(200, 5000) * t) for _ in range(3)) * np.exp(-t * rng.uniform(20, 120))
        x[i:i + len(t)] += (burst * rng.uniform(0.3, 1.5)).astype(np.float32)
    return (x / (x.std() + 1e-9)).astype(np.float32)


def room(x: np.ndarray, rng: np.random.Generator, decay: float) -> np.ndarray:
    """A room of `decay` s (RT60), as a direct path, a few early echoes and an exponential tail."""
    n = int(decay * RATE)
    tail = rng.standard_normal(n) * np.exp(-6.9 * np.arange(n) / n)
    impulse = np.zeros(n, np.float32)
    impulse += (tail * rng.uniform(0.02, 0.12)).astype(np.float32)
    impulse[0] = 1.0
    for _ in range(4):
        impulse[int(rng.integers(20, max(21, min(n, 600))))] += rng.uniform(-0.4, 0.4)
    return fftconvolve(x, impulse)[: len(x)].astype(np.float32)


def band(x: np.ndarray, low: float, high: float) -> np.ndarray:
    return sosfilt(butter(2, [low, min(high, 7900)], "bandpass", fs=RATE, output="sos"), x).astype(np.float32)


def tilt(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A microphone's own colour."""
    return lfilter([1, rng.uniform(-0.6, 0.6)], [1, rng.uniform(-0.3, 0.3)], x).astype(np.float32)


def faster(x: np.ndarray, factor: float) -> np.ndarray:
    """Plays faster and higher by `factor` (0.9-1.1)."""
    return resample_poly(x, 200, int(round(200 * factor))).astype(np.float32)


def whispered(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """The same mouth without a voice: noise through the smooth envelope of each 8 ms (cepstral), with less bass, and softer."""
    size, hop = 512, 128
    window = np.hanning(size + 1)[:-1]
    padded = np.pad(x, (size, size + hop))
    frames = np.lib.stride_tricks.sliding_window_view(padded, size)[::hop] * window
    cepstrum = np.fft.irfft(np.log(np.abs(np.fft.rfft(frames)) + 1e-4))
    cepstrum[:, 25:-24] = 0
    envelope = np.exp(np.fft.rfft(cepstrum).real)
    noise = np.lib.stride_tricks.sliding_window_view(rng.standard_normal(len(padded)), size)[::hop] * window
    y = np.zeros(len(padded))
    for i, frame in enumerate(np.fft.irfft(np.fft.rfft(noise) * envelope) * window):
        y[i * hop:i * hop + size] += frame
    y = lfilter([1, -0.75], [1], y[size:size + len(x)])
    return (y * 0.4 * x.std() / (y.std() + 1e-9)).astype(np.float32)


def shouted(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Higher, brighter, and pressed flat: a raised voice."""
    x = faster(x, float(rng.uniform(1.1, 1.25)))
    y = lfilter([1, -0.8], [1], x)
    y = np.tanh(y / (y.std() + 1e-9) * 1.5)
    return (y / (np.abs(y).max() + 1e-9)).astype(np.float32)


def childlike(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """A small head: formants and pitch up by a third or more."""
    return faster(x, float(rng.uniform(1.32, 1.5)))


TONES = {"whispered": whispered, "shouted": shouted, "childlike": childlike}
"""How a person may speak, but for plainly."""
