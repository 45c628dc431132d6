"""The domain files read, and exchanges drawn from them.

Grammar of a phrase: `[optional]`, `(one|other)`, `{slot}`; nesting is allowed. `{item2}` is a second, different value.
"""
from __future__ import annotations

import random
import re
from dataclasses import dataclass, field

import yaml

from .paths import DOMAIN

FIXED = {"forward", "back", "left", "right", "around", "up", "down", "mute", "unmute"}


@dataclass
class Exchange:
    """One request and its answer. `facts` are (key, value) that must be in the context for the answer to be right."""
    intent: str
    kind: str
    user: str
    reply: str
    facts: list[tuple[str, str]] = field(default_factory=list)
    missing: str | None = None
    calls: list[str] = field(default_factory=list)
    style: str = "neutral"
    phrasing: int = 0
    slots: dict[str, str] = field(default_factory=dict)


def load_slots() -> dict[str, list[str]]:
    slots: dict[str, list[str]] = {}
    for path in sorted(DOMAIN.glob("slots*.yaml")):
        for name, values in (yaml.safe_load(path.read_text()) or {}).items():
            known = slots.setdefault(name, [])
            known.extend(str(v) for v in values if str(v) not in known)
    return slots


def load_intents() -> list[dict]:
    intents = []
    for path in sorted((DOMAIN / "intents").glob("*.yaml")):
        intents.extend(yaml.safe_load(path.read_text()) or [])
    more = yaml.safe_load((DOMAIN / "more.yaml").read_text())
    for intent in intents:
        intent["user"] = intent.get("user") or []
        intent["own"] = len(intent["user"])  # those behind are for training alone
        intent["user"] += more.pop(intent["intent"], [])
        intent["after"] = []  # (intent, phrase): what is meant for this one when it is said after that one
    if more:
        raise ValueError(f"more.yaml has intents that do not exist: {', '.join(more)}")
    named = {intent["intent"]: intent for intent in intents}
    for intent in intents:
        for next in intent.get("follow") or []:
            named[next["intent"]]["after"] += [(intent["intent"], phrase) for phrase in next["user"]]
    return intents


def _choose(text: str, rng: random.Random) -> str:
    """Resolves `[…]` and `(a|b)` from the inside out."""
    while True:
        match = re.search(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)", text)
        if not match:
            return " ".join(text.split())
        if match.group(1) is not None:
            options = match.group(1).split("|")
            chosen = rng.choice(options) if rng.random() < 0.5 else ""
        else:
            chosen = rng.choice(match.group(2).split("|"))
        text = text[: match.start()] + chosen + text[match.end():]


def _all(text: str) -> set[str]:
    """Every sentence that `_choose` can make of a phrase."""
    match = re.search(r"\[([^\[\]()]*)\]|\(([^\[\]()]*)\)", text)
    if not match:
        return {" ".join(text.split())}
    options = [*match.group(1).split("|"), ""] if match.group(1) is not None else match.group(2).split("|")
    return {x for o in options for x in _all(text[: match.start()] + o + text[match.end():])}


def time_of_day(rng: random.Random) -> str:
    hour = rng.choice([rng.randint(6, 22)] * 3 + [rng.randint(0, 23)])
    return f"{hour}" if rng.random() < 0.45 else f"{hour}:{rng.choice(['15', '30', '45', '30', '10', '20', '40', '50', '05'])}"


def price(rng: random.Random) -> str:
    unit = rng.choice(["euros", "euros", "dollars", "pounds"])
    kind = rng.random()
    if kind < 0.5:
        n = rng.choice([rng.randint(1, 20), rng.randint(1, 99)])
        return f"{n} {unit[:-1] if n == 1 else unit}"
    if kind < 0.85:
        return f"{rng.randint(1, 30)}.{rng.choice(['50', '20', '80', '90', '95', '40', '60', '25', '75', '30'])} {unit}"
    return f"{rng.randint(10, 99)} cents"


BUILT_IN = {
    "n": lambda r: str(r.choice([r.randint(1, 10), r.randint(1, 20), r.randint(1, 99)])),
    "time": time_of_day,
    "price": price,
}


class Domain:
    """All intents, and ways to draw from them. `train` leaves out every tenth phrasing of an intent's own, and every sentence that
    these can make: those are the held-out phrasings (`held`). `own`: without those of `more.yaml`, as the test set has them."""

    def __init__(self) -> None:
        self.slots = load_slots()
        self.intents = {i["intent"]: i for i in load_intents()}
        self.held = {n: {x for k in self.phrasings(i, "held") for x in _all(i["user"][k])} for n, i in self.intents.items()}
        self.follows: dict[str, list[tuple[str, int]]] = {}  # by intent: what may come next in fewer words, as intent and phrasing
        for n, i in self.intents.items():
            for k, (before, phrase) in enumerate(i["after"], len(i["user"])):
                if not _all(phrase) & self.held[n]:
                    self.follows.setdefault(before, []).append((n, k))

    def value(self, name: str, rng: random.Random) -> str:
        base = name.rstrip("0123456789")
        if base in BUILT_IN:
            return BUILT_IN[base](rng)
        entry = rng.choice(self.slots[base])
        return self.fill(entry, {}, rng)

    def fill(self, template: str, values: dict[str, str], rng: random.Random) -> str:
        """Resolves the grammar, and draws every slot that has no value yet (the second of a kind differs from the first)."""
        return self._put(_choose(template, rng), values, rng)

    def _put(self, text: str, values: dict[str, str], rng: random.Random) -> str:
        def put(match: re.Match) -> str:
            name = match.group(1)
            if name not in values:
                base = name.rstrip("0123456789")
                taken = {v for k, v in values.items() if k.rstrip("0123456789") == base}
                for _ in range(20):
                    values[name] = self.value(name, rng)
                    if values[name] not in taken:
                        break
            return values[name]

        text = " ".join(re.sub(r"\{(\w+)\}", put, text).split())
        return re.sub(r"\ba (?=[aeio])", "an ", text)

    def asked(self, item: dict) -> tuple:
        """What a user piece asks for, without how: its intent and the slots that its phrasing itself names."""
        named = set(re.findall(r"\{(\w+)\}", self.phrase(item["intent"], item["phrasing"])))
        return (item["intent"], tuple(sorted((k, v) for k, v in item["slots"].items() if k in named)))

    def phrase(self, name: str, k: int) -> str:
        """Phrasing `k` of an intent: its own first, then those behind another intent; empty where it has no such number."""
        intent = self.intents[name]
        phrases = [*intent["user"], *(phrase for _, phrase in intent["after"])]
        return phrases[k] if 0 <= k < len(phrases) else ""

    def before(self, item: dict) -> str | None:
        """The intent after which alone a user piece can be understood ("and the elevator"); None where it says everything itself."""
        intent = self.intents[item["intent"]]
        k = item["phrasing"] - len(intent["user"])
        return intent["after"][k][0] if k >= 0 else None

    def follow(self, name: str, rng: random.Random, taken: dict[str, str] | None = None) -> Exchange | None:
        """What the same person may say next, after the intent `name`, in fewer words; None where nothing does. No slot that it names
        has a value of `taken`, those of the request before."""
        if name not in self.follows:
            return None
        n, k = rng.choice(self.follows[name])
        for _ in range(20):
            values: dict[str, str] = {}
            user = self.fill(self.phrase(n, k), values, rng)
            if not set(values.items()) & set((taken or {}).items()):
                break
        return self.exchange(n, rng, values=values, user=user, phrasing=k)

    def phrasings(self, intent: dict, split: str) -> list[int]:
        n = len(intent["user"])
        held = [i for i in range(intent["own"]) if i % 10 == 7]
        if split == "held":
            return held
        if split == "all":
            return list(range(n))
        return [i for i in range(intent["own"] if split == "own" else n) if i not in held]

    def exchange(self, name: str, rng: random.Random, split: str = "train", values: dict[str, str] | None = None,
                 user: str | None = None, phrasing: int = -1) -> Exchange:
        intent = self.intents[name]
        values = dict(values or {})
        if user is None:
            options, user = self.phrasings(intent, split), None
            while user is None or split == "train" and user in self.held[name]:  # two phrases can make one sentence
                phrasing = rng.choice(options)
                user = _choose(intent["user"][phrasing], rng)
        said = self.fill(user, values, rng)
        facts = []
        fact = intent.get("fact")
        for f in ([fact] if isinstance(fact, dict) else fact or []):
            facts.append((self.fill(str(f["key"]), values, rng), self.fill(str(f["value"]), values, rng)))
        reply = self.fill(rng.choice(intent.get("reply") or [""]), values, rng)
        missing = self.fill(rng.choice(intent["missing"]), values, rng) if intent.get("missing") else None
        calls = intent.get("call") or []
        calls = [self._put(str(c), values, rng) for c in ([calls] if isinstance(calls, str) else calls)]
        return Exchange(name, intent["kind"], said, reply, facts, missing, calls, intent.get("style", "neutral"),
                        phrasing, values)
