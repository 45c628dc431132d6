"""Recordings of real people that packages carry: how far training on synthetic voices holds. None of them is trained on."""
from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np

from .spoken import ONES

POCKETSPHINX = Path("/usr/share/pocketsphinx/test/data")
"""Debian package `pocketsphinx-testdata` (BSD; the novel is from LibriVox, public domain)."""
ALSA = Path("/usr/share/sounds/alsa")
"""Debian package `alsa-utils` (GPL)."""
RAW = {"goforward": ("go forward 10 metres", ["move(direction=forward, metres=10)"]), "something": ("go somewhere and do something", []),
       "tidigits/dhd.2934z": ("2 9 3 4 0", [])}
LISTS = {"cards/cards.transcription": "cards/{}.wav", "librivox/transcription": "librivox/{}.wav"}


def written(said: str) -> str:
    """Numbers in digits, as every text of the model has them; for playing cards, where no `one` is a pronoun."""
    return " ".join(str(ONES.index(w)) if w in ONES else w for w in said.lower().split())


def write_list(path: Path, lines: list[dict]) -> int:
    """A test's recordings, a line of JSON each; returns how many."""
    path.write_text("".join(json.dumps(x) + "\n" for x in lines))
    return len(lines)


def write_people(out: Path, write_wav) -> int:
    """Writes them as WAV with `people.jsonl`, those whose package is installed; returns how many."""
    lines: list[dict] = []

    def add(name: str, said: str, package: str, calls: list[str]) -> Path:
        lines.append({"wav": f"person-{name}.wav", "said": said, "from": package, "calls": calls})
        return out / lines[-1]["wav"]

    if POCKETSPHINX.exists():
        for name, (said, calls) in RAW.items():
            sound = np.frombuffer((POCKETSPHINX / f"{name}.raw").read_bytes(), "<i2").astype(np.float32) / 32768
            write_wav(add(name.replace("/", "-"), said, "pocketsphinx-testdata", calls), sound)
        for list_, place in LISTS.items():
            for said, key in re.findall(r"<s> (.*?)\s*</s> \((.*?)\)", (POCKETSPHINX / list_).read_text()):
                words = written(said) if list_.startswith("cards") else said
                shutil.copy(POCKETSPHINX / place.format(key), add(key, words, "pocketsphinx-testdata", []))
    for path in sorted(ALSA.glob("*_*.wav")):
        shutil.copy(path, add(path.stem.lower(), path.stem.lower().replace("_", " "), "alsa-utils", []))
    return write_list(out / "people.jsonl", lines)
