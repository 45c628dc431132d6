"""Sound and its labels on disk: one int16 16 kHz file and one line of JSON a piece; appending is resumable."""
from __future__ import annotations

import json
from pathlib import Path

import numpy as np

RATE = 16_000


def resample(samples: np.ndarray, rate: int) -> np.ndarray:
    from math import gcd
    from scipy.signal import resample_poly
    if rate == RATE:
        return samples
    g = gcd(rate, RATE)
    return resample_poly(samples, RATE // g, rate // g).astype(np.float32)


class Store:
    """`items[i]` is a dict with `at`, `n` (samples) and whatever was given to `add`."""

    def __init__(self, path: Path) -> None:
        self.path = path
        path.parent.mkdir(parents=True, exist_ok=True)
        self.sound, self.index = path.with_suffix(".pcm"), path.with_suffix(".jsonl")
        self.items: list[dict] = []
        if self.index.exists():
            size = self.sound.stat().st_size // 2
            for line in self.index.read_text().splitlines():
                try:
                    item = json.loads(line)
                except json.JSONDecodeError:
                    break  # the last line of a killed writer
                if item["at"] + item["n"] > size:
                    break
                self.items.append(item)
        self._map: np.memmap | None = None

    def add(self, samples: np.ndarray, rate: int, **labels) -> None:
        data = resample(samples, rate)
        peak = float(np.abs(data).max()) or 1.0
        data = np.clip(data * min(1.0, 0.95 / peak) * 32767, -32768, 32767).astype(np.int16)
        at = self.items[-1]["at"] + self.items[-1]["n"] if self.items else 0
        with open(self.sound, "r+b" if self.sound.exists() else "wb") as f:
            f.seek(at * 2)
            f.write(data.tobytes())
        item = {"at": at, "n": len(data), **labels}
        with open(self.index, "a") as f:
            f.write(json.dumps(item) + "\n")
        self.items.append(item)

    def samples(self, i: int) -> np.ndarray:
        """Float sound in [-1, 1] of piece i."""
        if self._map is None or len(self._map) < self.items[i]["at"] + self.items[i]["n"]:
            self._map = np.memmap(self.sound, np.int16, "r")
        item = self.items[i]
        return self._map[item["at"]: item["at"] + item["n"]].astype(np.float32) / 32768
