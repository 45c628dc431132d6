"""User sound in rooms and noise, as a microphone would hear it: `python -m parley_train.rooms --rounds 2`.

Kept per segment: sound, word times in it, and which user piece it is. Beds are segments to which no answer is due: quiet,
noise, music, foreign talk, and what is left of the device's own voice.
"""
from __future__ import annotations

import argparse
import multiprocessing
from collections import Counter

import numpy as np

from . import acoustics as a
from .paths import work
from .store import Store
from .teach import SOURCES, USERS, progress

RATE = 16_000


def background(n: int, rng: np.random.Generator, babble) -> tuple[np.ndarray, str]:
    kind = rng.choice(["still", "pink", "brown", "white", "hum", "music", "clatter", "babble"], p=[.13, .13, .11, .07, .07, .09, .12, .28])
    if kind == "still":
        return a.coloured(n, 1, rng) * 0.02, kind
    make = {"pink": lambda: a.coloured(n, 1, rng), "brown": lambda: a.coloured(n, 2, rng), "white": lambda: a.coloured(n, 0, rng),
            "hum": lambda: a.hum(n, rng), "music": lambda: a.music(n, rng), "clatter": lambda: a.clatter(n, rng), "babble": lambda: babble(n, rng)}
    return make[kind](), str(kind)


def babble_from(stores: list[Store], said: set[str] | None = None, decay: tuple[float, float] | None = None):
    """Several people at once, each going on and on: of all that they say, or of the intents `said`; with `decay`, each in a room."""
    groups = [(s, [i for i, x in enumerate(s.items) if said is None or x["intent"] in said]) for s in stores]
    groups = [(s, pieces) for s, pieces in groups if pieces]

    def make(n: int, rng: np.random.Generator) -> np.ndarray:
        x = np.zeros(n, np.float32)
        for _ in range(int(rng.integers(3, 7))):
            store, pieces = groups[int(rng.integers(len(groups)))]
            at = 0
            while at < n:
                piece = store.samples(pieces[int(rng.integers(len(pieces)))])
                if decay:
                    piece = a.room(piece, rng, float(rng.uniform(*decay)))
                m = min(len(piece), n - at)
                x[at:at + m] += piece[:m] / (piece.std() + 1e-6)
                at += m + int(rng.integers(0, 4000))
        return x / (x.std() + 1e-9)
    return make


TONED = 0.35  # of the segments: with more rounds a piece is heard in several tones, so that the sound must tell, and not the words


def segment(sound: np.ndarray, words: list, rng: np.random.Generator, babble) -> tuple[np.ndarray, list, str | None]:
    """One utterance as a microphone would hear it, with something before and after; the words' times in it, and its tone."""
    tone = str(rng.choice(list(a.TONES))) if rng.random() < TONED else None
    factor = float(rng.uniform(0.84, 1.22)) if rng.random() < 0.75 and not tone else 1.0  # other heads, other hurries
    x = a.TONES[tone](sound, rng) if tone else a.faster(sound, factor) if factor != 1.0 else sound
    scale = len(x) / len(sound)
    lead, tail = int(rng.uniform(0.3, 0.9) * RATE), int(1.1 * RATE)
    words = [(round(b * scale + lead / RATE * 1000), round(e * scale + lead / RATE * 1000)) for b, e in words]
    y = np.concatenate([np.zeros(lead, np.float32), x, np.zeros(tail, np.float32)])
    if rng.random() < 0.55:
        y = a.room(y, rng, float(rng.uniform(0.08, 0.55)))
    if rng.random() < 0.3:
        y = a.tilt(y, rng)
    if rng.random() < 0.1:
        y = a.band(y, 250, rng.uniform(3300, 7000))
    peak = {"whispered": (-34, -12), "shouted": (-8, 0)}.get(tone, (-26, -2))
    y = y / (np.abs(y).max() + 1e-6) * 10 ** (rng.uniform(*peak) / 20)
    level = y[lead: lead + len(x)].std()
    noise, _ = background(len(y), rng, babble)
    snr = rng.uniform(8, 40) if rng.random() < 0.75 else rng.uniform(2, 10)
    y = y + noise * level * 10 ** (-snr / 20)
    if rng.random() < 0.05:
        y = y / np.abs(y).max() * rng.uniform(1.2, 2.5)
    return np.clip(y, -1, 1).astype(np.float32), words, tone


def bed(rng: np.random.Generator, babble, company, target: Store) -> tuple[np.ndarray, str]:
    """Nine seconds and what they are: noise, what the echo gate leaves of the device's own voice, or a room full of talk."""
    n = 9 * RATE
    x, kind = background(n, rng, babble)
    level = 10 ** (rng.uniform(-70, -22) / 20)
    x = x * level
    r = rng.random()
    if r < 0.3:  # what the echo gate leaves of the device's own voice
        kind, at, gain = "echo", int(rng.integers(0, 8000)), 10 ** (rng.uniform(-56, -20) / 20)
        while at < n:
            piece = a.room(target.samples(int(rng.integers(len(target.items)))), rng, float(rng.uniform(0.1, 0.5)))
            m = min(len(piece), n - at)
            x[at:at + m] += gain * a.tilt(piece, rng)[:m]
            at += m + int(rng.integers(800, 12000))
    elif r < 0.6:
        kind, x = "company", company(n, rng) * 10 ** (rng.uniform(-48, -22) / 20) + 0.1 * x
    return np.clip(x, -1, 1).astype(np.float32), kind


def beds_of(count: int) -> None:
    target, stores = Store(work("teacher", "target")), [Store(work("teacher", n)) for n in USERS]
    beds, babble, company = Store(work("rooms", "beds")), babble_from(stores), babble_from(stores, {"overheard"}, (0.15, 0.6))
    for i in range(len(beds.items), count):
        sound, kind = bed(np.random.default_rng([11, i]), babble, company, target)
        beds.add(sound, RATE, kind=kind)
        progress(i, count)


def often(store: str) -> float:
    """How often a store's pieces are heard: what is most like people asking something is rare."""
    return 3 if "kokoro" in store else 2 if "recorded" in store else 0.5 if store[6:] in SOURCES else 1


def segments_of(worker: int, args: argparse.Namespace) -> None:
    """Every `workers`-th piece that has fewer segments than it is to have, into a store of this worker's own."""
    done: Counter = Counter()
    names = sorted(USERS, key=often, reverse=True)
    stores = [Store(work("teacher", n)) for n in names]
    babble, out = babble_from(stores), Store(work("rooms", f"users-{worker}"))
    for path in out.index.parent.glob("users-*.jsonl"):
        done.update(tuple(item["of"]) for item in Store(path.with_suffix("")).items)
    for turn in range(args.rounds * 3):
        for name, store in zip(names, stores):
            if turn >= args.rounds * often(name):
                continue
            for j in range(worker, len(store.items), args.workers):
                if done[name, j] > turn:
                    continue
                rng = np.random.default_rng([12, j, turn, "kokoro" in name])
                sound, words, tone = segment(store.samples(j), store.items[j]["words"], rng, babble)
                out.add(sound, RATE, of=[name, j], words=words, **({"tone": tone} if tone else {}))
                done[name, j] = turn + 1
                if worker == 0:
                    progress(len(out.items), len(store.items))


def segments(name: str) -> list[tuple[Store, int]]:
    """Every segment of the stores `name` and `name-*`, always in the same order."""
    folder = work("rooms", "x").parent
    stores = [Store(p.with_suffix("")) for p in sorted([*folder.glob(f"{name}.jsonl"), *folder.glob(f"{name}-*.jsonl")])]
    return [(store, i) for store in stores for i in range(len(store.items))]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--beds", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    beds_of(args.beds)
    crew = [multiprocessing.Process(target=segments_of, args=(i, args)) for i in range(args.workers)]
    for process in crew:
        process.start()
    for process in crew:
        process.join()
        assert process.exitcode == 0
    print(f"{len(segments('users'))} segments", flush=True)


if __name__ == "__main__":
    main()
