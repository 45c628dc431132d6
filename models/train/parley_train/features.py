"""User sound in rooms and noise -> front-end features, computed once: `python -m parley_train.features --weights OWW --rounds 2`.

Kept per segment: features [ticks, FEATURES] in float16, word times in the segment, and which user piece it is. Beds are
segments to which no answer is due: quiet, noise, music, foreign talk, and what is left of the device's own voice.
"""
from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import numpy as np
import torch

from . import acoustics as a
from .frontend import FEATURES, TICK, FrontEnd, load
from .paths import work
from .store import Store
from .teach import USERS, progress

RATE = 16_000


class Extractor:
    """The front end through ONNX Runtime: four times as fast as eager PyTorch on one thread."""

    def __init__(self, weights) -> None:
        import onnxruntime as ort
        path = work("frontend.onnx")
        if not path.exists():
            ear: FrontEnd = load(weights)

            class Whole(torch.nn.Module):
                def forward(self, sound):
                    past = torch.zeros(1, 352)
                    return ear(sound, past, ear.embedding.initial(1))[0]

            torch.onnx.export(Whole(), (torch.zeros(1, TICK * 20),), str(path), input_names=["sound"], output_names=["features"],
                              dynamic_axes={"sound": {1: "n"}, "features": {1: "t"}}, opset_version=17, dynamo=False)
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])

    def __call__(self, sound: np.ndarray) -> np.ndarray:
        n = -(-len(sound) // TICK)
        padded = np.zeros((1, n * TICK), np.float32)
        padded[0, : len(sound)] = sound
        return self.session.run(None, {"sound": padded})[0][0]


class FeatureStore:
    def __init__(self, name: str) -> None:
        self.data, self.index = work("features", f"{name}.f16"), work("features", f"{name}.jsonl")
        self.items = [json.loads(line) for line in self.index.read_text().splitlines()] if self.index.exists() else []
        self._map = None

    def add(self, features: np.ndarray, **labels) -> None:
        at = self.items[-1]["at"] + self.items[-1]["n"] if self.items else 0
        with open(self.data, "r+b" if self.data.exists() else "wb") as f:
            f.seek(at * FEATURES * 2)
            f.write(features.astype(np.float16).tobytes())
        item = {"at": at, "n": len(features), **labels}
        with open(self.index, "a") as f:
            f.write(json.dumps(item) + "\n")
        self.items.append(item)

    def take(self, other: "FeatureStore") -> None:
        """Moves what `other` holds to the end of this store."""
        if other.items:
            at = self.items[-1]["at"] + self.items[-1]["n"] if self.items else 0
            with open(self.data, "r+b" if self.data.exists() else "wb") as f:
                f.seek(at * FEATURES * 2)
                f.write(other.data.read_bytes()[: (other.items[-1]["at"] + other.items[-1]["n"]) * FEATURES * 2])
            items = [{**x, "at": at + x["at"]} for x in other.items]
            with open(self.index, "a") as f:
                f.writelines(json.dumps(x) + "\n" for x in items)
            self.items += items
        for path in (other.index, other.data):
            path.unlink(missing_ok=True)

    def get(self, i: int) -> np.ndarray:
        if self._map is None:
            self._map = np.memmap(self.data, np.float16, "r").reshape(-1, FEATURES)
        item = self.items[i]
        return self._map[item["at"]: item["at"] + item["n"]]


def background(n: int, rng: np.random.Generator, babble) -> tuple[np.ndarray, str]:
    kind = rng.choice(["still", "pink", "brown", "white", "hum", "music", "clatter", "babble"], p=[.15, .14, .12, .08, .08, .1, .13, .2])
    if kind == "still":
        return a.coloured(n, 1, rng) * 0.02, kind
    make = {"pink": lambda: a.coloured(n, 1, rng), "brown": lambda: a.coloured(n, 2, rng), "white": lambda: a.coloured(n, 0, rng),
            "hum": lambda: a.hum(n, rng), "music": lambda: a.music(n, rng), "clatter": lambda: a.clatter(n, rng), "babble": lambda: babble(n, rng)}
    return make[kind](), str(kind)


def babble_from(stores: list[Store]):
    stores = [s for s in stores if s.items]

    def make(n: int, rng: np.random.Generator) -> np.ndarray:
        x = np.zeros(n, np.float32)
        for _ in range(int(rng.integers(3, 7))):
            store = stores[int(rng.integers(len(stores)))]
            at = 0
            while at < n:
                piece = store.samples(int(rng.integers(len(store.items))))
                m = min(len(piece), n - at)
                x[at:at + m] += piece[:m] / (piece.std() + 1e-6)
                at += m + int(rng.integers(0, 4000))
        return x / (x.std() + 1e-9)
    return make


TONES = {"whispered": a.whispered, "shouted": a.shouted, "childlike": a.childlike}
TONED = 0.12  # of the pieces


def segment(sound: np.ndarray, words: list, rng: np.random.Generator, babble) -> tuple[np.ndarray, list, str | None]:
    """One utterance as a microphone would hear it, with something before and after; the words' times in it, and its tone."""
    tone = str(rng.choice(list(TONES))) if rng.random() < TONED else None
    factor = float(rng.uniform(0.84, 1.22)) if rng.random() < 0.75 and not tone else 1.0  # other heads, other hurries
    x = TONES[tone](sound, rng) if tone else a.faster(sound, factor) if factor != 1.0 else sound
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


def bed(i: int, rng: np.random.Generator, babble, target: Store, others: list[Store]) -> tuple[np.ndarray, str]:
    n = 9 * RATE
    x, kind = background(n, rng, babble)
    level = 10 ** (rng.uniform(-70, -22) / 20)
    x = x * level
    r = rng.random()
    if r < 0.45:  # what is left of the device's own voice
        kind, at, gain = "echo", int(rng.integers(0, 8000)), 10 ** (rng.uniform(-46, -14) / 20)
        while at < n:
            piece = a.room(target.samples(int(rng.integers(len(target.items)))), rng, float(rng.uniform(0.1, 0.5)))
            m = min(len(piece), n - at)
            x[at:at + m] += gain * a.tilt(piece, rng)[:m]
            at += m + int(rng.integers(800, 12000))
    return np.clip(x, -1, 1).astype(np.float32), kind


def beds_of(args: argparse.Namespace) -> None:
    extract, target = Extractor(args.weights), Store(work("teacher", "target"))
    stores = [Store(work("teacher", n)) for n in USERS]
    beds, babble = FeatureStore("beds"), babble_from(stores)
    for i in range(len(beds.items), args.beds):
        sound, kind = bed(i, np.random.default_rng([11, i]), babble, target, stores)
        beds.add(extract(sound), kind=kind)
        progress(i, args.beds)


def segments_of(worker: int, args: argparse.Namespace) -> None:
    """Every `workers`-th piece that has fewer segments than it is to have, into a store of this worker's own."""
    extract, done = Extractor(args.weights), Counter()
    names = sorted(USERS, key=lambda n: "kokoro" not in n)  # the most like people first
    stores = [Store(work("teacher", n)) for n in names]
    babble, out = babble_from(stores), FeatureStore(f"users-{worker}")
    for item in [*FeatureStore("users").items, *out.items]:
        done[tuple(item["of"])] += 1
    for name, store in zip(names, stores):
        for turn in range(args.rounds * (3 if "kokoro" in name else 1)):  # few of them, and the most like people
            for j in range(worker, len(store.items), args.workers):
                if done[name, j] > turn:
                    continue
                rng = np.random.default_rng([12, j, turn, "kokoro" in name])
                sound, words, tone = segment(store.samples(j), store.items[j]["words"], rng, babble)
                out.add(extract(sound), of=[name, j], words=words, **({"tone": tone} if tone else {}))
                done[name, j] = turn + 1
                if worker == 0:
                    progress(len(out.items), len(store.items))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--weights", type=Path, required=True, help="folder with openWakeWord's melspectrogram.onnx and embedding_model.onnx")
    parser.add_argument("--beds", type=int, default=500)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=2)
    args = parser.parse_args()
    beds_of(args)  # also makes the front end's graph, once
    torch.multiprocessing.spawn(segments_of, (args,), args.workers)
    users = FeatureStore("users")
    for path in sorted(users.index.parent.glob("users-*.jsonl")):
        users.take(FeatureStore(path.stem))
    print(f"{len(users.items)} segments", flush=True)


if __name__ == "__main__":
    main()
