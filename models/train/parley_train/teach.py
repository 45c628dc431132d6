"""Teacher speech, resumable: `python -m parley_train.teach target|users-fast|users-piper|users-kokoro|users-wide --count N`.

Every piece is decided by its number alone, so a run that was stopped goes on where it was. A network that goes on from a bundle
has heard the first numbers: with `--first N` it meets other people and other sentences.
"""
from __future__ import annotations

import argparse
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypeVar

import numpy as np

from .domain import Domain, Exchange
from .paths import DOMAIN, work
from .spoken import spoken
from .store import Store
from .voices import HELD_OUT, Espeak, Kokoro, Phonemes, Piper, Spoken, festival, flite, shared_out, trimmed

T = TypeVar("T")
WEIGHT = {"fact": 3.0, "action": 2.5, "sensor": 1.2, "chat": 0.8, "decline": 0.5, "style": 0.5, "event": 0.0}
ESPEAK = [f"{language}+{variant}" for language in ("en-us", "en-us", "en-gb", "en-gb-x-rp", "en-gb-x-gbclan", "en-gb-x-gbcwmd", "en-us-nyc")
          for variant in ("m1", "m2", "m3", "m4", "m5", "m6", "m7", "m8", "f1", "f2", "f3", "f4", "f5")]
OVERHEARD = 0.03
FOREIGN = 0.14  # of the wide pieces
# What every site asks most is seen most.
CORE = {"place.where": 7, "item.price": 6, "hours.all": 3, "hours.open": 3, "hours.close": 3, "places.where": 2, "wifi.password": 2,
        "ticket.price": 2, "event.when": 2, "sensor.battery": 3, "sensor.temperature": 2, "goto": 4, "order.one": 2, "order.several": 2,
        "call_staff": 2, "show": 2, "chat.hello": 3, "chat.thanks": 2, "chat.name": 2, "chat.goodbye": 2}


# The first bundle learns these well before the rest: `--focus` is the share of turns drawn from them.
FOCUS = {"place.where", "item.price", "hours.all", "hours.open", "hours.close", "wifi.password", "move.forward", "move.forward.n",
         "move.back", "move.back.n", "turn.left", "turn.right", "turn.around", "look.up", "look.down", "look.left", "look.right",
         "volume.up", "volume.down", "volume.mute", "volume.unmute", "stop", "come", "goto", "call_staff", "show", "order.one",
         "order.several", "cancel", "sensor.battery", "sensor.temperature", "chat.hello", "chat.thanks", "chat.name", "chat.goodbye",
         "chat.how_are_you", "decline.weather"}


def pick_intent(domain: Domain, rng: random.Random, spoken_only: bool = True) -> str:
    """An intent by the weight of its kind; each kind's weight is shared over its families evenly enough by the square root."""
    names = [n for n, i in domain.intents.items() if i.get("user") or not spoken_only]
    return rng.choices(names, [intent_weight(domain, n) for n in names])[0]


def intent_weight(domain: Domain, name: str) -> float:
    intent = domain.intents[name]
    count = sum(1 for i in domain.intents.values() if i["kind"] == intent["kind"])
    return WEIGHT[intent["kind"]] / count * CORE.get(name, 1)


@cache  # asked for with every piece
def lines_of(name: str) -> list[str]:
    path = DOMAIN / name
    return [x.strip() for x in path.read_text().splitlines() if x.strip()] if path.exists() else []


def target_text(domain: Domain, i: int) -> tuple[str, str]:
    """What the target voice reads: replies above all, then the word list of the slots, then plain sentences."""
    rng = random.Random(f"target {i}")
    reading = lines_of("reading.txt")
    kind = rng.random()
    if kind < 0.22 and reading:
        return rng.choice(reading), "neutral"
    if kind < 0.32:
        name = rng.choice([n for n in domain.slots if n not in ("frost",)])
        picks = [domain.value(name, rng) for _ in range(rng.randint(1, 3))]
        return " and ".join(picks), "neutral"
    e = domain.exchange(pick_intent(domain, rng, spoken_only=False), rng, "all")
    text = e.missing if e.missing and rng.random() < 0.12 else e.reply
    return text or "hello", e.style


SOURCES = ("commonvoice", "librispeech", "an4", "commands")
"""Of people who read; see readers.py."""
USERS = ("users-fast", "users-piper", "users-kokoro", "users-focus", "users-focus-kokoro", "users-follow", "users-follow-kokoro", "users-wide",
         "users-wide-kokoro", "users-recorded",
         *(f"users-{source}" for source in SOURCES))
SILENT = {"overheard", "wide"}
"""Intents that get no reply: talk that is not for the device, and speech that is only there to be heard."""


@dataclass(frozen=True)
class Numbers:
    """The pieces to make: `count` of them from number `first` on, less those that a store holds already."""
    first: int
    count: int

    def left(self, store: Store) -> range:
        return range(self.first + len(store.items), self.first + self.count)


def make_target(numbers: Numbers) -> None:
    domain, store, voice = Domain(), Store(work("teacher", "target")), Piper()
    for i in numbers.left(store):
        text, style = target_text(domain, i)
        rng = random.Random(f"target voice {i}")
        s = voice.say(text, speed=rng.uniform(1.0, 1.15), noise=rng.uniform(0.25, 0.5))
        store.add(s.samples, s.rate, text=text, style=style, words=s.words, phones=s.phones)
        progress(len(store.items), numbers.count)


@cache
def overheard_lines(split: str) -> list[str]:
    """Other people's talk; every tenth line is for the test alone, and those of `overheard-more.txt` are for training alone."""
    lines = [x for i, x in enumerate(lines_of("overheard.txt")) if (i % 10 == 7) == (split == "held")]
    if split == "held":
        return lines
    held = overheard_lines("held")
    return [*lines, *(x for x in lines_of("overheard-more.txt") if x not in held)]


def wide_text(domain: Domain, i: int) -> dict:
    """Speech that keeps the ear from leaning on the sentences it knows: plain prose and other people's talk (to be kept silent
    to), and words of the domain in orders that nobody says (`wide`: whether they ask for something is nobody's to say)."""
    rng = random.Random(f"wide {i}")
    kind = rng.random()
    if kind < 0.34:
        text, intent = rng.choice(overheard_lines("train")), "overheard"
    elif kind < 0.52:
        text, intent = rng.choice(lines_of("reading.txt")), "overheard"
    elif kind < 0.9:
        names, spans = [n for n, x in domain.intents.items() if x.get("user")], []
        for _ in range(rng.randint(2, 4)):
            source = domain.exchange(rng.choice(names), rng, "train").user if rng.random() < 0.75 else rng.choice(lines_of("reading.txt"))
            words, n = source.split(), rng.randint(1, 4)
            at = rng.randint(0, max(0, len(words) - n))
            spans += words[at:at + n]
        text, intent = " ".join(spans), "wide"
    else:
        slots = [n for n in domain.slots if n not in ("frost",)]
        text, intent = " ".join(domain.value(rng.choice([*slots, "n", "time", "price"]), rng) for _ in range(rng.randint(1, 4))), "wide"
    return {"text": text, "intent": intent, "slots": {}, "phrasing": 0}


def foreign_piece(espeak: Espeak, rng: random.Random) -> tuple[np.ndarray, dict]:
    """Talk in a language that it does not speak, and its labels: nothing to hear as words, nothing to answer. Those of the
    evaluation (quiet.py) are not among them."""
    language, said = rng.choice(lines_of("foreign.txt")).split("\t")
    speaker = f"{language}+{rng.choice(['m1', 'm2', 'm4', 'm5', 'm6', 'm8', 'f1', 'f3'])}"
    samples = espeak.say(said, speaker, rng.randint(130, 200), rng.randint(30, 70))
    words = [tuple(at / espeak.rate * 1000 for at in trimmed(samples, espeak.rate))]
    return samples, {"voice": f"espeak:{speaker}", "words": words, "text": "", "said": said, "intent": "overheard", "slots": {}, "phrasing": 0}


def labels_of(e: Exchange) -> dict:
    """Of what a person says."""
    return {"text": e.user, "intent": e.intent, "slots": e.slots, "phrasing": e.phrasing}


def follow_text(domain: Domain, i: int) -> dict:
    """What is only understood after another request ("and the elevator")."""
    rng = random.Random(f"follow {i}")
    befores = sorted(domain.follows)
    return labels_of(domain.follow(rng.choices(befores, [intent_weight(domain, n) for n in befores])[0], rng))


def focus_text(domain: Domain, i: int) -> dict:
    """A phrasing of a focus intent."""
    rng = random.Random(f"user {i}")
    names = [n for n in domain.intents if n in FOCUS]
    return labels_of(domain.exchange(rng.choices(names, [intent_weight(domain, n) for n in names])[0], rng, "train"))


def user_text(domain: Domain, i: int) -> dict:
    """What a person says: an intent's phrasing with its slots, or talk that is not for the device."""
    rng = random.Random(f"user {i}")
    overheard = overheard_lines("train")
    if overheard and rng.random() < OVERHEARD:
        line = rng.choice(overheard)
        return {"text": line, "intent": "overheard", "slots": {}, "phrasing": 0}
    return labels_of(domain.exchange(pick_intent(domain, rng), rng, "train"))


TEXTS = {"": user_text, "focus": focus_text, "follow": follow_text, "wide": wide_text}


def make_users_kokoro(numbers: Numbers, package: Path, what: str) -> None:
    """`what`: a key of `TEXTS`."""
    name = f"users-{what}-kokoro" if what else "users-kokoro"
    domain, store, voice = Domain(), Store(work("teacher", name)), Kokoro(package)
    names = [n for n in voice.tables if f"kokoro:{n}" not in HELD_OUT]
    weights = [3.0 if n[0] in "ab" else 1.0 for n in names]
    for i in numbers.left(store):
        labels = TEXTS[what](domain, (4_000_000 if what == "focus" else 1_000_000) + i)
        rng = random.Random(f"{name} {i}")
        speaker = rng.choices(names, weights)[0]
        if rng.random() < 0.6:  # a few dozen voices are few people: most pieces are spoken by somebody between two of them
            speaker = f"{speaker}+{rng.choice([n for n in names if n != speaker])}*{rng.uniform(0.2, 0.6):.2f}"
        s = voice.say(labels["text"], speaker, speed=rng.uniform(0.85, 1.3))
        store.add(s.samples, s.rate, voice=f"kokoro:{speaker}", words=trimmed_words(s), **labels)
        progress(len(store.items), numbers.count)


def make_users_piper(numbers: Numbers) -> None:
    """The target's neural voice as other people: smaller and larger heads by resampling, never near its own size."""
    from .acoustics import faster
    domain, store, voice = Domain(), Store(work("teacher", "users-piper")), Piper()
    for i in numbers.left(store):
        labels = user_text(domain, 2_000_000 + i)
        rng = random.Random(f"piper {i}")
        factor = rng.choice([rng.uniform(0.78, 0.9), rng.uniform(1.12, 1.5), rng.uniform(1.2, 1.7)])
        s = voice.say(labels["text"], speed=rng.uniform(0.85, 1.25) / factor, noise=rng.uniform(0.5, 0.9))
        samples = faster(s.samples, factor)
        words = [(b / factor, e / factor) for b, e in trimmed_words(s)]
        store.add(samples, s.rate, voice=f"piper:joe*{factor:.2f}", words=words, **labels)
        progress(len(store.items), numbers.count)


def make_users_cheap(name: str, numbers: Numbers) -> None:
    """The focus intents, what follows them, or wide speech, by the cheap voices, one voice a piece."""
    from .acoustics import faster
    domain, store, piper = Domain(), Store(work("teacher", name)), Piper()
    espeak, phonemes = Espeak(), Phonemes()
    for i in numbers.left(store):
        rng, foreign = random.Random(f"{name[6:]} {i}"), random.Random(f"foreign {i}")
        if name == "users-wide" and foreign.random() < FOREIGN:
            samples, labels = foreign_piece(espeak, foreign)
            store.add(samples, espeak.rate, **labels)
            progress(len(store.items), numbers.count)
            continue
        labels = TEXTS[name[6:]](domain, (3_000_000 if name == "users-focus" else 0) + i)
        words, kind = " ".join(spoken(labels["text"])[0]), rng.random()
        if kind < 0.45:
            factor = rng.choice([rng.uniform(0.78, 0.9), rng.uniform(1.12, 1.7)])
            s = piper.say(labels["text"], speed=rng.uniform(0.85, 1.25) / factor, noise=rng.uniform(0.5, 0.9))
            store.add(faster(s.samples, factor), s.rate, voice=f"piper:joe*{factor:.2f}",
                      words=[(b / factor, e / factor) for b, e in trimmed_words(s)], **labels)
        else:
            if kind < 0.8:
                speaker = rng.choice([v for v in ESPEAK if f"espeak:{v}" not in HELD_OUT])
                samples, rate = espeak.say(words, speaker, rng.randint(125, 210), rng.randint(25, 75), rng.randint(30, 80)), espeak.rate
                speaker = f"espeak:{speaker}"
            else:
                speaker = rng.choice(["kal", "kal16", "slt", "rms", "rms"])
                samples, rate = flite(words, speaker, rng.uniform(0.8, 1.2), rng.uniform(75, 220))
                speaker = f"flite:{speaker}"
            store.add(samples, rate, voice=speaker, words=shared_out(samples, rate, labels["text"], phonemes).words, **labels)
        progress(len(store.items), numbers.count)


def trimmed_words(s: Spoken) -> list[tuple[float, float]]:
    """Word times pulled in to where sound really begins and ends."""
    loud = np.where(np.abs(s.samples) > 0.02 * max(0.05, float(np.abs(s.samples).max())))[0]
    begin, end = (loud[0] / s.rate * 1000, loud[-1] / s.rate * 1000) if len(loud) else (0.0, 0.0)
    return [(max(a, begin), min(max(b, begin), end)) for a, b in s.words]


def make_users_fast(numbers: Numbers) -> None:
    domain, store = Domain(), Store(work("teacher", "users-fast"))
    espeak, phonemes = Espeak(), Phonemes()
    left = numbers.left(store)
    i, end = left.start, left.stop
    while i < end:
        batch, rng = [], random.Random(f"fast {i}")
        kind = rng.random()
        labels = [user_text(domain, i + k) for k in range(min(50, end - i))]
        texts = [" ".join(spoken(x["text"])[0]) for x in labels]
        if kind < 0.2:
            name, stretch = rng.choice(["voice_kal_diphone", "voice_cmu_us_slt_arctic_hts"]), rng.uniform(0.85, 1.15)
            batch = [(f"festival:{name[6:]}", *x) for x in festival(texts, name, stretch)]
        elif kind < 0.42:
            for t in texts:
                name = rng.choice(["kal", "kal16", "slt", "rms", "rms"])
                batch.append((f"flite:{name}", *flite(t, name, rng.uniform(0.8, 1.2), rng.uniform(75, 220))))
        else:
            for t in texts:
                name = rng.choice([v for v in ESPEAK if f"espeak:{v}" not in HELD_OUT])
                batch.append((f"espeak:{name}", espeak.say(t, name, rng.randint(125, 210), rng.randint(25, 75),
                                                           rng.randint(30, 80)), espeak.rate))
        for (name, samples, rate), x in zip(batch, labels):
            s = shared_out(samples, rate, x["text"], phonemes)
            store.add(samples, rate, voice=name, words=s.words, **x)
            i += 1
        progress(len(store.items), numbers.count)


def going_on(done: Path, items: list[T]) -> Iterator[T]:
    """The recordings that no earlier run has been through. `done` keeps how many are; one counts when the next is asked for."""
    first = int(done.read_text()) if done.exists() else 0
    for i, item in enumerate(items[first:], first + 1):
        yield item
        done.write_text(str(i))
        progress(i, len(items))


_began = time.time()


def progress(i: int, count: int) -> None:
    if i % 50 == 0:
        print(f"{i}/{count} {time.time() - _began:.0f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["target", "users-fast", "users-piper", "users-kokoro", "users-focus", "users-follow", "users-wide"])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--first", type=int, default=0, help="the number of the first piece")
    parser.add_argument("--kokoro", type=Path, help="the packed npm package kokoro-js (.tgz), which holds the voices")
    parser.add_argument("--only", default="", choices=TEXTS,
                        help="users-kokoro: the focus intents, what is understood after another request, or speech that is only to be heard")
    args = parser.parse_args()
    numbers = Numbers(args.first, args.count)
    if args.what == "target":
        make_target(numbers)
    elif args.what == "users-piper":
        make_users_piper(numbers)
    elif args.what == "users-fast":
        make_users_fast(numbers)
    elif args.what in ("users-focus", "users-follow", "users-wide"):
        make_users_cheap(args.what, numbers)
    else:
        make_users_kokoro(numbers, args.kokoro, args.only)
