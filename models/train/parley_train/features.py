"""Segments of sound -> the listener's features, computed once: `python -m parley_train.features`. Again after `listen`: `--afresh`.

Kept per segment: features [ticks, FEATURES] in float16, and the segment's labels.
"""
from __future__ import annotations

import argparse
import json
import random

import numpy as np
import torch

from .listen import listener
from .moonshine import FEATURES, TICK, Listener
from .optimiser import bfloat16
from .paths import work
from .rooms import segments
from .store import Store
from .teach import progress

TOGETHER, IN_A_ROW, CHUNK = 12, 4, 768


class FeatureStore:
    def __init__(self, name: str) -> None:
        self.data, self.index = work("features", f"{name}.f16"), work("features", f"{name}.jsonl")
        self.items = [json.loads(line) for line in self.index.read_text().splitlines()] if self.index.exists() else []
        self._map = None

    def add(self, pieces: list[tuple[np.ndarray, dict]]) -> None:
        """Pieces of features with their labels, all or none."""
        at = self.items[-1]["at"] + self.items[-1]["n"] if self.items else 0
        with open(self.data, "r+b" if self.data.exists() else "wb") as f:
            f.seek(at * FEATURES * 2)
            for x, _ in pieces:
                f.write(x.astype(np.float16).tobytes())
        for x, labels in pieces:
            self.items.append({"at": at, "n": len(x), **labels})
            at += len(x)
        with open(self.index, "a") as f:
            f.write("".join(json.dumps(x) + "\n" for x in self.items[-len(pieces):]))

    def clear(self) -> None:
        for path in (self.index, self.data):
            path.unlink(missing_ok=True)
        self.items = []

    def get(self, i: int) -> np.ndarray:
        if self._map is None:
            self._map = np.memmap(self.data, np.float16, "r").reshape(-1, FEATURES)
        item = self.items[i]
        return self._map[item["at"]: item["at"] + item["n"]]


@torch.no_grad()
def heard(ear: Listener, sounds: list[np.ndarray], rng: random.Random) -> list[np.ndarray]:
    """Features of each sound, one after another in rows of `IN_A_ROW`, so that all but the first of a row hear what came before, as a
    microphone that is never closed does; rows of like length go together."""
    out: list = [None] * len(sounds)
    order = list(range(len(sounds)))
    rng.shuffle(order)
    ticks = [-(-len(x) // TICK) for x in sounds]
    rows = sorted((order[i:i + IN_A_ROW] for i in range(0, len(order), IN_A_ROW)), key=lambda row: sum(ticks[i] for i in row))
    for group in (rows[i:i + TOGETHER] for i in range(0, len(rows), TOGETHER)):
        batch, places = torch.zeros(len(group), max(sum(ticks[i] for i in row) for row in group) * TICK), []
        for line, row in enumerate(group):
            at = 0
            for i in row:
                batch[line, at * TICK: at * TICK + len(sounds[i])] = torch.from_numpy(sounds[i])
                places.append((i, line, at))
                at += ticks[i]
        features = ear(batch)
        for i, line, at in places:
            out[i] = features[line, at: at + ticks[i]].numpy()
    return out


def extract(ear: Listener, store: FeatureStore, segments: list[tuple[Store, int]]) -> None:
    for at in range(len(store.items), len(segments), CHUNK):
        some = segments[at: at + CHUNK]
        labels = [{k: v for k, v in s.items[i].items() if k not in ("at", "n")} for s, i in some]
        store.add(list(zip(heard(ear, [s.samples(i) for s, i in some], random.Random(at)), labels)))
        progress(at, len(segments))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--afresh", action="store_true", help="the listener has changed")
    parser.add_argument("--threads", type=int, default=2)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bfloat16()
    ear = listener().eval()
    for name in ("beds", "users"):
        store = FeatureStore(name)
        if args.afresh:
            store.clear()
        extract(ear, store, segments(name))
    print(f"{len(FeatureStore('users').items)} segments", flush=True)


if __name__ == "__main__":
    main()
