"""Real people who read aloud or say single words, with the words that they were given: `python -m parley_train.readers SOURCE FOLDER`.

| source | what | licence |
|---|---|---|
| `commonvoice` | Common Voice 1, `cv-valid-dev` (a folder with `cv-valid-dev.csv`) | CC0 |
| `librispeech` | a part of LibriSpeech, such as `train-clean-5` (a folder with `*/*/*.trans.txt`) | CC BY 4.0, V. Panayotov and others |
| `an4` | CMU's Census (AN4) in 16 kHz WAV (`cmusphinx/an4`) | BSD-like, CMU |
| `commands` | Speech Commands, a folder of recordings for each word | CC BY 4.0, P. Warden / Google |

A word that is a request by itself ("left") is a turn to be answered; all else is only to be heard, and half of the prose also to be kept
silent to. Words get their times by forced alignment (PocketSphinx); what it cannot align is left out. Sentences and people that the
test has (`held`) are never taken.
"""
from __future__ import annotations

import argparse
import csv
import hashlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .domain import Domain, _all
from .paths import work
from .people import write_list
from .recorded import as_written
from .store import RATE, Store, resample
from .teach import SOURCES, going_on

LONGEST = 6.0  # s: longer reading is cut at a pause
ASKING = re.compile(r"^(what|where|when|who|which|how|why|can|could|would|will|do|does|did|is|are|was|have|has|may|please|go|come|give|take|tell|show|look|stop|turn|let)\b")
TEST = {"commonvoice": 60, "librispeech": 20, "an4": 20, "commands": 0}


@dataclass(frozen=True)
class Reading:
    path: Path
    text: str
    """As it was given, in spoken words."""
    source: str
    held: bool


def share(text: str) -> int:
    return int(hashlib.sha1(text.encode()).hexdigest()[:4], 16)


def commonvoice(folder: Path) -> Iterator[Reading]:
    for row in csv.DictReader((folder / "cv-valid-dev.csv").read_text().splitlines()):
        yield Reading(folder / row["filename"], row["text"], "commonvoice", share(row["text"]) % 16 == 0)


def librispeech(folder: Path) -> Iterator[Reading]:
    lists = sorted(folder.glob("*/*/*.trans.txt"))
    held = set(sorted({p.parent.parent.name for p in lists})[::10])
    for path in lists:
        for line in path.read_text().splitlines():
            name, text = line.split(" ", 1)
            yield Reading(path.parent / f"{name}.flac", text.lower(), "librispeech", path.parent.parent.name in held)


def an4(folder: Path) -> Iterator[Reading]:
    files = {p.stem: p for p in (folder / "wav").rglob("*.wav")}
    for part, held in (("train", False), ("test", True)):
        for text, key in re.findall(r"<s> (.*?) </s> \((.*?)\)", (folder / f"etc/an4_{part}.transcription").read_text()):
            if key in files:
                yield Reading(files[key], text.lower(), "an4", held)


def commands(folder: Path) -> Iterator[Reading]:
    for path in sorted(folder.glob("[a-z]*/*.wav")):
        yield Reading(path, path.parent.name, "commands", False)


def readings(source: str, folder: Path) -> list[Reading]:
    return list({"commonvoice": commonvoice, "librispeech": librispeech, "an4": an4, "commands": commands}[source](folder))


class Aligner:
    def __init__(self) -> None:
        from pocketsphinx import Decoder
        self.decoder = Decoder(samprate=RATE, loglevel="FATAL", bestpath=False)

    def times(self, samples: np.ndarray, words: list[str]) -> list[tuple[float, float]] | None:
        """ms of each word; None where a word is unknown or cannot be found."""
        d = self.decoder
        try:
            d.set_align_text(" ".join(words))
            d.start_utt()
            d.process_raw((samples * 32767).astype("<i2").tobytes(), full_utt=True)
            d.end_utt()
            found = [(s.start_frame * 10.0, s.end_frame * 10.0 + 10) for s in d.seg() or () if s.word[0] not in "<["]
        except RuntimeError:
            return None
        return found if len(found) == len(words) else None


def chunks(times: list[tuple[float, float]]) -> Iterator[tuple[int, int]]:
    """[from, to) of words, each at most about LONGEST long, cut where the reader paused."""
    begin = 0
    for i in range(1, len(times) + 1):
        end = i == len(times)
        long = times[i - 1][1] - times[begin][0]
        if end or long > 400 * LONGEST and times[i][0] - times[i - 1][1] >= 150 or long > 1000 * LONGEST:
            yield begin, i
            begin = i


def requests(domain: Domain) -> dict[str, tuple[str, int]]:
    """Sentences without slots that are a request by themselves -> intent, phrasing."""
    out: dict[str, tuple[str, int]] = {}
    for name, intent in domain.intents.items():
        for i in domain.phrasings(intent, "train"):
            if "{" not in intent["user"][i]:
                for said in _all(intent["user"][i]):
                    if said and said not in domain.held[name]:
                        out.setdefault(said, (name, i))
    return out


def labels(text: str, known: dict[str, tuple[str, int]]) -> dict:
    intent, phrasing = known.get(text, ("overheard" if share(text) % 2 and not ASKING.match(text) and " " in text else "wide", 0))
    return {"intent": intent, "phrasing": phrasing, "slots": {}}


def write_readers(out: Path, sources: list[tuple[str, Path]], write_wav) -> int:
    """The test's readings, with `readers.jsonl`; returns how many."""
    import soundfile
    lines = []
    for source, folder in sources:
        seen: set[str] = set()
        for r in readings(source, folder):
            if not r.held or r.text in seen or len(seen) >= TEST[source] or len(r.text.split()) > 20:
                continue
            seen.add(r.text)
            name = f"reader-{source}-{len(seen):02d}.wav"
            samples, rate = soundfile.read(r.path, dtype="float32")
            write_wav(out / name, resample(samples, rate))
            lines.append({"wav": name, "said": " ".join(w for x in r.text.split() for w in as_written(x)), "from": source, "calls": []})
    return write_list(out / "readers.jsonl", lines)


def main() -> None:
    import soundfile
    parser = argparse.ArgumentParser()
    parser.add_argument("source", choices=SOURCES)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--count", type=int, default=10_000, help="recordings to take")
    args = parser.parse_args()
    known, store, aligner = requests(Domain()), Store(work("teacher", f"users-{args.source}")), Aligner()
    taken = [r for r in readings(args.source, args.folder) if not r.held][: args.count]
    for r in going_on(work("teacher", f"users-{args.source}.done"), taken):
        samples, rate = soundfile.read(r.path, dtype="float32")
        samples, spoken = resample(samples if samples.ndim == 1 else samples.mean(1), rate), r.text.split()
        times = aligner.times(samples, spoken)
        for a, b in chunks(times) if times else ():
            words = [as_written(w) for w in spoken[a:b]]
            if any(len(w) != 1 for w in words):
                continue
            begin, end = max(0, int(times[a][0] * 16) - 480), min(len(samples), int(times[b - 1][1] * 16) + 800)
            text = " ".join(w[0] for w in words)
            store.add(samples[begin:end], RATE, voice=f"person:{r.path.stem}", text=text,
                      words=[(s - begin / 16, e - begin / 16) for s, e in times[a:b]], **labels(text, known))
    print(f"{len(store.items)} pieces, {sum(x['intent'] not in ('wide', 'overheard') for x in store.items)} of them requests", flush=True)


if __name__ == "__main__":
    main()
