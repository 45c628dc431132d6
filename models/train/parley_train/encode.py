"""Target-voice pieces -> speech codes, once the codec is trained: `python -m parley_train.encode`. Written as `codes-<store>.npz`."""
from __future__ import annotations

import numpy as np
import torch

from .codec import FRAMES, Codec
from .paths import work
from .store import RATE, Store
from .synth import HOP
from .train_codec import features, pitch

BEFORE_MS, AFTER_MS = 25, 90


def trimmed(item: dict, sound: np.ndarray) -> tuple[np.ndarray, list[float]]:
    """The sound from just before its first word to just after its last, and the words' onsets in it (ms)."""
    begin = max(0.0, item["words"][0][0] - BEFORE_MS)
    end = min(len(sound) / RATE * 1000, item["words"][-1][1] + AFTER_MS)
    return sound[int(begin * RATE / 1000): int(end * RATE / 1000)], [w[0] - begin for w in item["words"]]


def load_codec() -> Codec:
    codec = Codec()
    codec.load_state_dict(torch.load(work("codec.pt"))["codec"])
    return codec.eval()


@torch.no_grad()
def encode(codec: Codec, sound: np.ndarray) -> np.ndarray:
    """Sound at 16 kHz -> codes [ticks, BOOKS]."""
    n = -(-len(sound) // (HOP * FRAMES)) * FRAMES
    padded = np.zeros(n * HOP, np.float32)
    padded[: len(sound)] = sound
    f0 = np.zeros(n, np.float32)
    p = pitch(padded)[:n]
    f0[: len(p)] = p
    x, _ = features(torch.from_numpy(padded)[None], torch.from_numpy(f0)[None])
    return codec.quantiser(codec.encoder(x))[1][0].numpy().astype(np.uint8)


def main() -> None:
    torch.set_num_threads(1)
    codec = load_codec()
    for name in ("replies", "target"):
        store, path = Store(work("teacher", name)), work(f"codes-{name}.npz")
        codes, onsets = [], []
        if path.exists():
            old = np.load(path, allow_pickle=True)
            codes, onsets = list(old["codes"]), list(old["onsets"])
        for i in range(len(codes), len(store.items)):
            sound, begins = trimmed(store.items[i], store.samples(i))
            codes.append(encode(codec, sound))
            onsets.append(np.array(begins, np.float32))
        boxed = lambda xs: np.array([*xs, None], object)[:-1]
        np.savez(path, codes=boxed(codes), onsets=boxed(onsets))
        print(name, len(codes), flush=True)


if __name__ == "__main__":
    main()
