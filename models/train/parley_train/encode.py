"""Target-voice pieces -> speech codes: `python -m parley_train.encode`. Written as `codes-<store>.npz`, with word onsets and F0.

Phones come from the teacher's durations, pitch and loudness from the sound; nothing is learned but the 256 values of the last
book (k-means over the first pieces, kept in `models/train/prosody.npy`: the codes stay valid; without that file it is made anew).
"""
from __future__ import annotations

import argparse

import numpy as np

from .codec import BOOKS, CODES, FRAMES, PHONES, PROSODY, THIRDS
from .paths import PROSODY_FILE, work
from .store import RATE, Store
from .synth import HOP

BEFORE_MS, AFTER_MS = 25, 90
THIRD_MS = FRAMES * 10 / THIRDS
SKIP_MS = 30  # what it costs to leave a phone out
WEIGHTS = np.array([4.0, 4.0, 0.12], np.float32)  # of the prosody's values in the distance: 1/4 of an octave is like 8 dB


LAGS = np.arange(RATE // 200, RATE // 66)  # the voice's range, in samples: a wider one invites octave errors
WINDOW = 640


def pitch(x: np.ndarray) -> np.ndarray:
    """F0 in Hz every 10 ms (0 where unvoiced): normalised correlation at each lag, and the smoothest good path (Viterbi).
    WORLD's DIO was tried and was an octave too high in half of this voice's frames."""
    n, wide = len(x) // HOP, WINDOW + LAGS[-1]
    padded = np.pad(x.astype(np.float64), (WINDOW // 2 + LAGS[-1] // 2, wide))
    frames = np.lib.stride_tricks.sliding_window_view(padded, wide)[: n * HOP: HOP]
    size = 1 << int(wide + WINDOW - 1).bit_length()
    cross = np.fft.irfft(np.conj(np.fft.rfft(frames[:, :WINDOW], size)) * np.fft.rfft(frames, size), size)[:, LAGS]
    power = np.concatenate([np.zeros((n, 1)), np.cumsum(frames ** 2, 1)], 1)
    match = cross / np.sqrt((power[:, WINDOW, None] * (power[:, LAGS + WINDOW] - power[:, LAGS])) + 1e-5)
    bad = np.concatenate([1 - match + 0.06 * LAGS / LAGS[-1], np.where(power[:, WINDOW, None] < 0.02, 0.0, 0.58)], 1)
    step = 3.0 * np.abs(np.log2(LAGS[:, None] / LAGS))
    move = np.pad(step, (0, 1), constant_values=0.2)
    move[-1, -1] = 0
    total, back = bad[0], np.zeros(bad.shape, np.int64)
    for t in range(1, n):
        options = total[:, None] + move
        back[t] = options.argmin(0)
        total = options[back[t], np.arange(len(total))] + bad[t]
    at, f0 = int(total.argmin()), np.zeros(n, np.float32)
    for t in range(n - 1, -1, -1):
        if at < len(LAGS):
            lag = float(LAGS[at])
            if 0 < at < len(LAGS) - 1:  # the top of the parabola through the three values around
                a, b, c = match[t, at - 1: at + 2]
                lag += 0.5 * (a - c) / (a - 2 * b + c - 1e-9) if a < b > c else 0.0
            f0[t] = RATE / lag
        at = back[t, at]
    return f0


def span(item: dict) -> tuple[float, float]:
    """What is kept of a piece, in ms: from just before its first word to just after its last."""
    return max(0.0, item["words"][0][0] - BEFORE_MS), min(item["n"] / RATE * 1000, item["words"][-1][1] + AFTER_MS)


def trimmed(item: dict, sound: np.ndarray) -> np.ndarray:
    """The piece's sound in whole ticks."""
    begin, end = span(item)
    x = sound[int(begin * RATE / 1000): int(end * RATE / 1000)]
    return np.pad(x, (0, -len(x) % (HOP * FRAMES)))


def thirds(phones: list, begin: float, ticks: int) -> np.ndarray:
    """[ticks, THIRDS] phone of each third of a tick, a third late. Every phone gets a third of its own where there is room:
    the path in order with the most overlap, and a price on each phone left out."""
    n = ticks * THIRDS
    edges = np.array([0.0, *(max(0.0, e - begin) for _, e in phones), 1e9])
    ids = np.array([max(0, PHONES.find(p)) for p, _ in phones] + [0])
    starts = (np.arange(n) + 1) * THIRD_MS
    overlap = np.minimum(edges[1:], starts[:, None] + THIRD_MS) - np.maximum(edges[:-1], starts[:, None])
    score = np.where(overlap > 0, overlap, overlap * 0.25).clip(-200)
    m = len(ids)
    total, back = np.full(m, -1e9), np.zeros((n, m), np.int64)
    total[:3] = -SKIP_MS * np.arange(min(3, m))
    total = total + score[0]
    for t in range(1, n):
        options = np.stack([total, np.pad(total, (1, 0), constant_values=-1e9)[:m],
                            np.pad(total, (2, 0), constant_values=-1e9)[:m] - SKIP_MS])
        best = options.argmax(0)
        back[t] = np.arange(m) - best
        total = options[best, np.arange(m)] + score[t]
    at, path = int(total.argmax()), np.zeros(n, np.int64)
    for t in range(n - 1, -1, -1):
        path[t] = at
        at = back[t, at]
    return ids[path].reshape(ticks, THIRDS)


def prosody(sound: np.ndarray, f0: np.ndarray) -> np.ndarray:
    """[ticks, PROSODY]: log of F0/100 in each half of the tick, through unvoiced stretches in a line, and loudness in dB."""
    ticks, voiced = len(sound) // (HOP * FRAMES), np.where(f0 > 0)[0]
    log_f0 = np.interp(np.arange(len(f0)), voiced, np.log(f0[voiced] / 100)) if len(voiced) else np.zeros(len(f0))
    halves = log_f0.reshape(ticks, 2, FRAMES // 2).mean(2)
    loud = 10 * np.log10((sound.reshape(ticks, -1) ** 2).mean(1) + 1e-6)
    return np.concatenate([halves, loud[:, None]], 1).astype(np.float32)


def nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    a, b = x * WEIGHTS, centres * WEIGHTS
    return ((a ** 2).sum(1, keepdims=True) - 2 * a @ b.T + (b ** 2).sum(1)).argmin(1)


def centres_of(x: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """k-means of `x` [N, PROSODY] -> [CODES, PROSODY], in order of pitch."""
    centres = x[rng.choice(len(x), CODES, replace=False)]
    for _ in range(25):
        near = nearest(x, centres)
        for k in range(CODES):
            mine = x[near == k]
            centres[k] = mine.mean(0) if len(mine) else x[rng.integers(len(x))]
    return centres[np.argsort(centres[:, 0])]


def measured(store: Store, i: int) -> tuple[np.ndarray, np.ndarray]:
    """F0 [ticks·FRAMES] and prosody [ticks, PROSODY] of a piece."""
    sound = trimmed(store.items[i], store.samples(i))
    n = len(sound) // HOP
    f0 = np.zeros(n, np.float32)
    p = pitch(sound)[:n]
    f0[: len(p)] = p
    return f0, prosody(sound, f0)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", nargs="+", default=["target", "replies"])
    args = parser.parse_args()
    path, boxed = PROSODY_FILE, lambda xs: np.array([*xs, None], object)[:-1]
    if not path.exists():
        store = Store(work("teacher", "target"))
        np.save(path, centres_of(np.concatenate([measured(store, i)[1] for i in range(min(600, len(store.items)))]), np.random.default_rng(3)))
    centres = np.load(path)
    for name in args.data:
        store, out = Store(work("teacher", name)), work(f"codes-{name}.npz")
        codes, onsets, pitches = [], [], []
        if out.exists():
            old = np.load(out, allow_pickle=True)
            codes, onsets, pitches = list(old["codes"]), list(old["onsets"]), list(old["f0"])
        for i in range(len(codes), len(store.items)):
            item, (f0, values) = store.items[i], measured(store, i)
            begin = span(item)[0]
            rows = np.concatenate([thirds(item["phones"], begin, len(values)), nearest(values, centres)[:, None]], 1)
            codes.append(rows.astype(np.uint8))
            onsets.append(np.array([w[0] - begin for w in item["words"]], np.float32))
            pitches.append(f0.astype(np.float16))
        np.savez(out, codes=boxed(codes), onsets=boxed(onsets), f0=boxed(pitches))
        print(name, len(codes), flush=True)


if __name__ == "__main__":
    assert BOOKS == THIRDS + 1 and len(WEIGHTS) == PROSODY
    main()
