"""The tokenizer: byte-pair pieces over domain text, digits in groups of two, specials first. Written as `tokenizer.json`."""
from __future__ import annotations

import json
import random
import re
from collections import Counter
from functools import lru_cache
from pathlib import Path

STYLES = ["cheerful", "calm", "whisper", "sing", "laugh", "chime"]
TOOLS = ["goto", "move", "come", "turn", "look", "stop", "volume", "call_staff", "show", "order", "cancel"]
SPECIALS = (["<none>", "<eot>", "<cut>", "<end>", "<fact>", "<typed>", "<event>"]
            + [f"<call:{t}>" for t in TOOLS] + [f"<style:{s}>" for s in STYLES] + ["<reserved0>", "<reserved1>", "<reserved2>", "<reserved3>"])
NUMBERS = [f"▁{i}" for i in range(100)] + [f"▁0{i}" for i in range(10)] + [str(i) for i in range(100)] + [f"0{i}" for i in range(10)]
LETTERS = list("abcdefghijklmnopqrstuvwxyz'")
SIZE = 1536


def groups(word: str) -> list[str] | None:
    """`10:45` -> ▁10 : 45; `125` -> ▁1 25. None for words of letters."""
    if not re.match(r"^\d", word):
        return None
    out = []
    for part in re.findall(r"\d+|[:.]", word):
        if part in ":.":
            out.append(part)
            continue
        pairs = [part[max(0, i - 2):i] for i in range(len(part), 0, -2)][::-1]
        out.extend(pairs)
    return ["▁" + out[0], *out[1:]]


class Tokenizer:
    def __init__(self, pieces: list[str], merges: list[tuple[str, str]]) -> None:
        self.pieces, self.merges = pieces, merges
        self.ids = {p: i for i, p in enumerate(pieces)}
        self.ranks = {tuple(m): i for i, m in enumerate(merges)}
        self.word = lru_cache(100_000)(self._word)

    @classmethod
    def load(cls, path: Path) -> "Tokenizer":
        data = json.loads(path.read_text())
        return cls(data["pieces"], [tuple(m) for m in data["merges"]])

    def save(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps({"pieces": self.pieces, "merges": [list(m) for m in self.merges]}, ensure_ascii=False))

    def _word(self, word: str) -> tuple[int, ...]:
        numeric = groups(word)
        if numeric is not None:
            return tuple(self.ids[p] for p in numeric if p in self.ids)
        return self.letters(word)

    def letters(self, word: str, drop: float = 0.0, rng: random.Random | None = None) -> tuple[int, ...]:
        parts = ["▁", *word]
        while len(parts) > 1:
            best = min(((self.ranks.get((a, b), 1 << 30), i) for i, (a, b) in enumerate(zip(parts, parts[1:]))
                        if not (drop and rng and rng.random() < drop)), default=(1 << 30, -1))
            if best[0] == 1 << 30:
                break
            i = best[1]
            parts[i:i + 2] = [parts[i] + parts[i + 1]]
        return tuple(self.ids[p] for p in parts if p in self.ids)

    def words(self, text: str) -> list[tuple[int, ...]]:
        """The pieces of each written word."""
        return [self.word(w) for w in text.lower().split()]

    def encode(self, text: str) -> list[int]:
        return [i for w in self.words(text) for i in w]

    def decode(self, ids: list[int]) -> str:
        return "".join(self.pieces[i] for i in ids if i >= len(SPECIALS)).replace("▁", " ").strip()


def train(texts: list[str], size: int = SIZE) -> Tokenizer:
    """Byte-pair merges by frequency over the words of `texts`."""
    counts = Counter(w for t in texts for w in t.split() if not re.match(r"^\d", w))
    words = {w: (["▁", *w], c) for w, c in counts.items()}
    pieces = [*SPECIALS, *NUMBERS, ":", ".", "▁", *LETTERS]
    merges: list[tuple[str, str]] = []
    while len(pieces) < size:
        pairs: Counter = Counter()
        for parts, c in words.values():
            for pair in zip(parts, parts[1:]):
                pairs[pair] += c
        if not pairs:
            break
        best, _ = pairs.most_common(1)[0]
        merged = best[0] + best[1]
        merges.append(best)
        pieces.append(merged)
        for w, (parts, c) in words.items():
            if merged in "".join(parts):
                i = 0
                while i < len(parts) - 1:
                    if (parts[i], parts[i + 1]) == best:
                        parts[i:i + 2] = [merged]
                    i += 1
    pieces += [f"<unused{i}>" for i in range(size - len(pieces))]
    return Tokenizer(pieces, merges)


def main() -> None:
    from .domain import Domain
    from .paths import work
    from .teach import lines_of, target_text, user_text
    domain, rng = Domain(), random.Random(7)
    texts = [user_text(domain, i)["text"] for i in range(12_000)] + [target_text(domain, i)[0] for i in range(12_000)]
    texts += lines_of("reading.txt") + [domain.value(s, rng) for s in domain.slots for _ in range(3 * len(domain.slots[s]))]
    tokenizer = train(texts)
    tokenizer.save(work("tokenizer.json"))
    sample = [user_text(domain, 5_000_000 + i)["text"] for i in range(500)]
    print(len(tokenizer.pieces), sum(len(tokenizer.encode(t)) for t in sample) / sum(len(t.split()) for t in sample), "pieces a word")


if __name__ == "__main__":
    main()
