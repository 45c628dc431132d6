"""Training sequences: facts, then a stream of ticks in which people talk, the device answers, is interrupted, or keeps still.

All tick arithmetic of what is taught stands here:
- a heard word is written HEARD_LAG ticks after the tick in which it ended;
- a reply's first token comes REPLY_LAG ticks after the tick in which the person's last word ended, its sound one tick later;
- later words come LEAD ticks before the tick in which they sound;
- a reply is cut CUT_LAG ticks after the person began to speak over it;
- a person's tone is told from TONE_AFTER ticks after their first word's, for it takes more than a first sound, to that of the reply's first token.
"""
from __future__ import annotations

import random
from dataclasses import dataclass, field

import numpy as np

from .codec import BOOKS
from .domain import Domain
from .hearing import TONE_NAMES
from .moonshine import FEATURES
from .tokens import Tokenizer

HEARD_LAG, REPLY_LAG, LEAD, CUT_LAG, TONE_AFTER = 2, 2, 2, 1, 3
TICK_MS = 80
MAX_FACTS = 480
ELLIPTIC = 0.3  # of the turns behind another: what can only be understood after it, where there is such a thing
STILL, STILL_TICKS = 3, 5
"""To say nothing just after a sentence that is not for the device weighs as much as a reply's first word, in so many ticks."""


@dataclass
class Timeline:
    """Arrays by tick. `text_known`, `heard_known`: 1 where that stream is to be learned (more: an empty tick that counts more);
    `code_known`: 1 where codes are real."""
    facts: list[int] = field(default_factory=list)
    people: list[tuple[int, int, str]] = field(default_factory=list)
    """Who speaks: first tick, ticks, words."""
    features: list[np.ndarray] = field(default_factory=list)
    channel: list[int] = field(default_factory=list)
    text: list[int] = field(default_factory=list)
    heard: list[int] = field(default_factory=list)
    codes: list = field(default_factory=list)
    speaking: list[int] = field(default_factory=list)
    tone: list[int] = field(default_factory=list)
    """Of the person who speaks, as in `TONE_NAMES`, from 1 on; 0 where nobody does."""
    text_known: list[int] = field(default_factory=list)
    heard_known: list[int] = field(default_factory=list)
    speak_known: list[int] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.text)

    def extend(self, ticks: int, sound: bool) -> None:
        """Makes room to tick `ticks`."""
        n = ticks - len(self)
        if n <= 0:
            return
        for name, value in (("channel", 0), ("text", 0), ("heard", 0), ("speaking", 0), ("tone", 0), ("text_known", 1), ("heard_known", int(sound)), ("speak_known", int(sound))):
            getattr(self, name).extend([value] * n)
        self.codes.extend([None] * n)
        self.features.extend([None] * n)

    def put(self, name: str, at: int, ids: list[int], sound: bool) -> int:
        """Writes tokens from tick `at`, one a tick, after whatever stands there already; returns the tick after the last."""
        row = getattr(self, name)
        for token in ids:
            self.extend(at + 1, sound)
            while row[at]:
                at += 1
                self.extend(at + 1, sound)
            row[at] = token
            at += 1
        return at


def fact_tokens(tok: Tokenizer, key: str, value: str) -> list[int]:
    return [tok.ids["<fact>"], *tok.encode(key), tok.ids[":"], *tok.encode(value)]


def call_tokens(tok: Tokenizer, call: str) -> list[int]:
    """`move(direction=forward, metres=2)` -> <call:move> ▁forward ▁2 <end>; an order says the quantity first."""
    name, inside = call.rstrip(")").split("(", 1)
    args = dict(part.strip().split("=", 1) for part in inside.split(",") if "=" in part)
    if name == "order":
        args = {"quantity": args.get("quantity", "1"), "item": args["item"]}
    if name == "move":
        args = {"direction": args["direction"], "metres": args.get("metres", "1")}
    return [tok.ids[f"<call:{name}>"], *[i for v in args.values() for i in tok.encode(v)], tok.ids["<end>"]]


def schedule_words(pieces: list[tuple[int, ...]], onsets: list[float] | None, first: int, sound_from: int) -> list[tuple[int, int]]:
    """(tick, token) of a reply's words. Without onsets (text alone) they follow one another."""
    out, at = [], first
    for i, word in enumerate(pieces):
        if onsets is not None and i > 0:
            at = max(at, sound_from + int(onsets[i] // TICK_MS) - LEAD)
        for token in word:
            out.append((at, token))
            at += 1
    return out


class Composer:
    """Puts exchanges on a timeline."""

    def __init__(self, domain: Domain, tok: Tokenizer, others: list[str] | None = None) -> None:
        """`others`: sentences that are not for the device."""
        self.domain, self.tok, self.others = domain, tok, others or []

    def reply(self, line: Timeline, at: int, text: str, calls: list[str], style: str, speech: dict | None, sound: bool) -> int:
        """Writes a reply whose first token is at tick `at`; `speech` has codes [n, BOOKS] and word onsets. Returns its last tick + 1."""
        tok, first = self.tok, at
        if f"<style:{style}>" in tok.ids:
            at = line.put("text", at, [tok.ids[f"<style:{style}>"]], sound)
        sound_from = at + 1
        pieces = tok.words(text)
        end = at
        for tick, token in schedule_words(pieces, speech["onsets"] if speech else None, at, sound_from):
            end = line.put("text", tick, [token], sound)
        for call in calls:
            end = line.put("text", end, call_tokens(tok, call), sound)
        if speech is not None:
            n = len(speech["codes"])
            line.extend(sound_from + n, sound)
            for k in range(n):
                line.codes[sound_from + k] = speech["codes"][k]
                line.speaking[sound_from + k] = 1
            end = max(end, sound_from + n)
        end = line.put("text", end, [tok.ids["<eot>"]], sound)
        if not sound or speech is None:
            for k in range(first, end):
                line.speak_known[k] = 0
        return end

    def typed(self, line: Timeline, at: int, text: str, sound: bool) -> int:
        tok = self.tok
        return line.put("channel", at, [tok.ids["<typed>"], *tok.encode(text), tok.ids["<end>"]], sound)

    def event(self, line: Timeline, at: int, text: str, sound: bool) -> int:
        tok = self.tok
        return line.put("channel", at, [tok.ids["<event>"], *tok.encode(text), tok.ids["<end>"]], sound)

    def hear(self, line: Timeline, begin: int, text: str, words: list, sound: bool) -> int:
        """Writes the heard words of a piece whose features begin at tick `begin`; returns the tick of the last word's end. Without
        text (another language) nothing is heard, and its one span says where the talk is."""
        for word, (_, end) in zip(self.tok.words(text), words):
            line.put("heard", begin + int(end // TICK_MS) + HEARD_LAG, list(word), sound)
        return begin + int(words[-1][1] // TICK_MS)

    def tone(self, line: Timeline, first: int, last: int, tone: str | None) -> None:
        """Writes the tone of a person whose words are in the ticks `first` to `last`."""
        ticks = range(first + TONE_AFTER, min(last + REPLY_LAG + 1, len(line)))
        line.tone[ticks.start:ticks.stop] = [1 + TONE_NAMES.index(tone)] * len(ticks)

    def hear_text(self, line: Timeline, at: int, text: str, rng: random.Random) -> int:
        """Writes words on the heard stream as if the ear had written them, without sound; returns the tick after the last."""
        for word in self.tok.words(text):
            at = line.put("heard", at + (rng.random() < 0.25), list(word), False)
        return at

    def still(self, line: Timeline, at: int, sound: bool) -> None:
        """From tick `at` on a reply would begin if what was said were for the device; it is not."""
        line.extend(at + STILL_TICKS, sound)
        line.text_known[at:at + STILL_TICKS] = [STILL] * STILL_TICKS

    def overhear(self, line: Timeline, at: int, rng: random.Random) -> int:
        """Other people's talk on the heard stream, as text alone; returns the tick after the pause that follows."""
        at = self.hear_text(line, at, rng.choice(self.others), rng)
        self.still(line, at, False)
        return at + STILL_TICKS + rng.randint(0, 3)

    def distractors(self, rng: random.Random, taken: set[str], count: int, like: str | None = None) -> list[tuple[str, str]]:
        """Other facts, half of them of the same kind as the one asked for, with other keys."""
        names = [n for n, i in self.domain.intents.items() if i["kind"] in ("fact", "sensor") and i.get("fact")]
        out: list[tuple[str, str]] = []
        for _ in range(count * 3):
            if len(out) >= count:
                break
            name = like if like in names and rng.random() < 0.5 else rng.choice(names)
            fact = self.domain.intents[name]["fact"]
            values: dict[str, str] = {}
            for f in ([fact] if isinstance(fact, dict) else fact):
                key, value = self.domain.fill(str(f["key"]), values, rng), self.domain.fill(str(f["value"]), values, rng)
                if key not in taken:
                    taken.add(key)
                    out.append((key, value))
        return out

    def facts(self, line: Timeline, facts: list[tuple[str, str]], rng: random.Random) -> None:
        rng.shuffle(facts)
        for key, value in facts:
            tokens = fact_tokens(self.tok, key, value)
            if len(line.facts) + len(tokens) <= MAX_FACTS:
                line.facts += tokens

    def text_dialogue(self, rng: random.Random, names: list[str], weights: list[float], turns: int, facts: int) -> Timeline:
        """Turns of text alone: typed ones, and ones that arrive on the heard stream as if the ear had written them."""
        line, exchanges, taken, pool = Timeline(), [], set(), []
        for _ in range(turns):
            last = exchanges[-1][0] if exchanges else None
            e = self.domain.follow(last.intent, rng, last.slots) if last and rng.random() < ELLIPTIC else None
            e = e or self.domain.exchange(rng.choices(names, weights)[0], rng, "train")
            clash = any(k in taken for k, _ in e.facts)
            if clash:
                continue
            taken |= {k for k, _ in e.facts}
            absent = e.missing is not None and rng.random() < 0.28
            if not absent:
                pool += e.facts
            exchanges.append((e, absent))
        live = [f for f in pool if f[0] in READINGS and rng.random() < 0.5]
        pool = [f for f in pool if f not in live]
        self.facts(line, pool + self.distractors(rng, taken, facts, exchanges[0][0].intent if exchanges else None), rng)
        at = rng.randint(0, 3)
        for key, value in live:
            at = self.event(line, at, f"{key} {value}", False) + rng.randint(0, 2)
        for e, absent in exchanges:
            if self.others and rng.random() < 0.25:
                at = self.overhear(line, at, rng)
            if rng.random() < 0.4:
                start = self.typed(line, at, e.user, False)
            else:
                start = self.hear_text(line, at, e.user, rng) + rng.randint(0, 1)
            line.extend(start, False)
            at = self.reply(line, start, e.missing if absent else e.reply, e.calls, e.style, None, False) + rng.randint(1, 4)
        line.extend(at, False)
        return line


READINGS = {"battery", "temperature", "humidity", "light", "distance", "queue", "noise", "weight", "speed", "door", "rain", "signal", "tank", "paper"}


def arrays(lines: list[Timeline], fact: int) -> dict:
    """A padded batch; `fact` is the token that begins a fact. Inputs are the targets one tick late."""
    b, t = len(lines), max(len(x) for x in lines)
    f = max(1, max(len(x.facts) for x in lines))
    out = {"facts": np.zeros((b, f), np.int64), "begins": np.zeros((b, f), np.int64), "count": np.zeros(b, np.int64), "codes": np.zeros((b, t, BOOKS), np.int64)}
    for name in ("channel", "text", "heard", "tone"):
        out[name] = np.zeros((b, t), np.int64)
    for name in ("speaking", "text_known", "heard_known", "speak_known", "code_known"):
        out[name] = np.zeros((b, t), np.float32)
    if any(v is not None for x in lines for v in x.features):
        out["features"] = np.zeros((b, t, FEATURES), np.float32)
    out["people"] = [(i, *person) for i, x in enumerate(lines) for person in x.people]
    for i, x in enumerate(lines):
        n = len(x)
        out["facts"][i, : len(x.facts)], out["count"][i] = x.facts, len(x.facts)
        out["begins"][i] = np.cumsum(out["facts"][i] == fact)
        for name in ("channel", "text", "heard", "tone", "speaking", "text_known", "heard_known", "speak_known"):
            out[name][i, :n] = getattr(x, name)
        for k in range(n):
            if x.codes[k] is not None:
                out["codes"][i, k], out["code_known"][i, k] = x.codes[k], 1
            if x.features[k] is not None:
                out["features"][i, k] = x.features[k]
    return out
