"""Orders that real people spoke, as turns: `git clone https://github.com/Picovoice/speech-to-intent-benchmark ORDERS;
python -m parley_train.recorded --orders ORDERS`.

619 orders of coffee by more than 50 people (Apache-2.0), each labelled with its drink and what is to be in it, not with its words.
The words and their times are whisper's; an order counts only where every value of its label is among them. Every fifth order is for
the test alone (`held`); its speaker may have others in training, because nobody wrote down who speaks.
"""
from __future__ import annotations

import argparse
import json
import re
import shutil
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .domain import Domain
from .judge import Judge, normal
from .paths import work
from .people import write_list
from .spoken import ONES, TENS
from .store import Store
from .teach import going_on

STORE = "users-recorded"
INTENT = "order.one"
DIGITS = {w: str(i) for i, w in enumerate(ONES) if i > 1} | {w: str(10 * i) for i, w in enumerate(TENS) if i > 1}


@dataclass(frozen=True)
class Order:
    wav: Path
    drink: str
    values: tuple[str, ...]
    """Of its label, all of them said."""


def orders(folder: Path, held: bool) -> list[Order]:
    """Those of the test (`held`) or of training, always in the same order."""
    labels = json.loads((folder / "data/label/label.json").read_text())
    out = []
    for i, name in enumerate(sorted(labels)):
        path, slots = folder / "data/speech/clean" / name, labels[name]["slots"]
        if (i % 5 == 2) == held and path.exists():
            out.append(Order(path, slots["coffeeDrink"], tuple(v.strip() for v in slots.values())))
    return out


def write_orders(out: Path, folder: Path) -> int:
    """The test's orders as they were recorded, with `orders.jsonl`; returns how many."""
    lines = []
    for order in orders(folder, held=True):
        name = f"order-{order.wav.name}"
        shutil.copy(order.wav, out / name)
        lines.append({"wav": name, "said": order.drink, "from": "speech-to-intent-benchmark", "calls": [f"order(item={order.drink}, quantity=1)"]})
    return write_list(out / "orders.jsonl", lines)


def as_written(word: str) -> list[str]:
    """A recogniser's word as every text of the model has it: lower case, no punctuation, numbers in digits."""
    parts = re.sub(r"[^a-z0-9:.' ]", " ", word.lower().replace("%", " percent")).split()
    parts = [p.strip(".:'") for p in parts]
    return [DIGITS.get(p, p) for p in parts if p]


def complete(order: Order, text: str) -> bool:
    said = f" {' '.join(normal(text))} "
    return all(f" {' '.join(normal(v))} " in said for v in order.values)


def heard(judge: Judge, order: Order) -> tuple[str, list[tuple[float, float]]] | None:
    """Its words and their times, ms; None where the recogniser missed something of the label."""
    segments, _ = judge.model.transcribe(str(order.wav), language="en", beam_size=3, condition_on_previous_text=False, word_timestamps=True)
    words: list[str] = []
    times: list[tuple[float, float]] = []
    for word in (w for s in segments for w in s.words):
        parts = as_written(word.word)
        for k, part in enumerate(parts):
            step = (word.end - word.start) * 1000 / len(parts)
            words.append(part)
            times.append((word.start * 1000 + k * step, word.start * 1000 + (k + 1) * step))
    text = " ".join(words)
    return (text, times) if words and complete(order, text) else None


def cropped(samples: np.ndarray, times: list[tuple[float, float]]) -> tuple[np.ndarray, list[tuple[float, float]]]:
    """From just before the first word to just after the last: rooms puts its own silence around it."""
    begin, end = max(0, int(times[0][0] * 16) - 800), min(len(samples), int(times[-1][1] * 16) + 1600)
    return samples[begin:end], [(a - begin / 16, b - begin / 16) for a, b in times]


def main() -> None:
    import soundfile
    parser = argparse.ArgumentParser()
    parser.add_argument("--orders", type=Path, required=True, help="a clone of speech-to-intent-benchmark")
    args = parser.parse_args()
    domain, store, judge = Domain(), Store(work("teacher", STORE)), Judge()
    users, own = domain.intents[INTENT]["user"], domain.phrasings(domain.intents[INTENT], "train")
    phrasing = next(i for i in own if "{item}" in users[i])
    for order in going_on(work("teacher", f"{STORE}.done"), orders(args.orders, held=False)):
        if (words := heard(judge, order)) is None:
            continue
        samples, rate = soundfile.read(order.wav, dtype="float32")
        sound, times = cropped(samples, words[1])
        store.add(sound, rate, voice=f"person:{order.wav.name}", words=times, text=words[0], intent=INTENT,
                  slots={"item": order.drink}, phrasing=phrasing)
    print(f"{len(store.items)} orders", flush=True)


if __name__ == "__main__":
    main()
