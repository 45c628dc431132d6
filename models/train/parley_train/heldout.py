"""The test set: voices and phrasings that training never hears: `python -m parley_train.heldout --out DIR --count 300 --kokoro TGZ`.

Writes WAV files and `cases.jsonl`: what was said, by which voice, the site's facts, and what the answer must do. Sets:
`voices` (held-out voices, known phrasings), `phrasings` (known voices, held-out phrasings), `both`. Nothing here is a label from a
recogniser. `--follows N` writes N talks of two requests, the second understood only after the first (`follows.jsonl`). `--tones N` writes N requests whispered, shouted or in a child's voice, with the style that each asks for (`tones.jsonl`); `--asked N` writes N more that ask for a song, a laugh, a chime or a whisper in words.
Recordings of real people that installed packages carry are listed in `people.jsonl`; see people.py. With `--orders CLONE` real people's
orders that are never trained on are in `orders.jsonl`, with `--readers` their reading in `readers.jsonl`; see recorded.py and readers.py. `--quiet-minutes M` writes M minutes to which no answer is due (`quiet-*.wav`, listed in `quiet.jsonl`); see quiet.py.
`--first N` begins at number N: another draw of the same, to choose by what the test set is then only to measure (`bias`).
"""
from __future__ import annotations

import argparse
import json
import random
import wave
from pathlib import Path

import numpy as np

from .acoustics import TONES
from .domain import Domain, Exchange
from .paths import work
from .people import write_people
from .readers import write_readers
from .recorded import write_orders
from .quiet import Talk, beds
from .spoken import spoken
from .store import RATE, resample
from .styles import ANSWERS
from .teach import ESPEAK, FOCUS, intent_weight
from .timeline import Composer
from .tokens import Tokenizer
from .voices import HELD_OUT, Espeak, Kokoro, festival, flite

ASKED = ("sing", "laugh", "chime", "whisper")  # styles that somebody asks for in words
KINDS = {"fact": 0.4, "action": 0.4, "sensor": 0.06, "chat": 0.08, "decline": 0.06}


def write_wav(path: Path, samples: np.ndarray) -> None:
    with wave.open(str(path), "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(RATE)
        out.writeframes((np.clip(samples, -1, 1) * 32767).astype(np.int16).tobytes())


def written(index: Path) -> int:
    """How many lines a list has already: whoever writes it goes on behind them."""
    return len(index.read_text().splitlines()) if index.exists() else 0


def append(index: Path, line: dict) -> None:
    with open(index, "a") as f:
        f.write(json.dumps(line) + "\n")


class Speakers:
    def __init__(self, package: Path) -> None:
        self.kokoro, self.espeak = Kokoro(package), Espeak()
        known = [f"kokoro:{n}" for n in self.kokoro.tables if n[0] in "ab" and f"kokoro:{n}" not in HELD_OUT]
        known += [f"espeak:{v}" for v in ESPEAK if f"espeak:{v}" not in HELD_OUT][::6] + ["flite:slt", "flite:rms"]
        self.pools = {True: sorted(HELD_OUT), False: known}

    def say(self, text: str, voice: str, rng: random.Random) -> np.ndarray:
        engine, name = voice.split(":", 1)
        words = " ".join(spoken(text)[0])
        if engine == "kokoro":
            s = self.kokoro.say(text, name, rng.uniform(0.9, 1.15))
            return resample(s.samples, s.rate)
        if engine == "espeak":
            return resample(self.espeak.say(words, name, rng.randint(140, 180), 50, 50), self.espeak.rate)
        if engine == "flite":
            return resample(*flite(words, name))
        return resample(*festival([words], "voice_ked_diphone")[0])

    def pick(self, held: bool, rng: random.Random) -> str:
        pool = self.pools[held]
        neural = [v for v in pool if v.startswith("kokoro")]
        return rng.choice(neural) if rng.random() < 0.6 else rng.choice([v for v in pool if v not in neural])


def microphone(samples: np.ndarray, rng: np.random.Generator, loudest: float | None = None) -> np.ndarray:
    """A quiet room, the speech at a usual level (or with this peak, dB), half a second before it."""
    peak = float(np.abs(samples).max()) or 1.0
    x = np.concatenate([np.zeros(RATE // 2, np.float32), samples / peak * 10 ** ((rng.uniform(-12, -3) if loudest is None else loudest) / 20), np.zeros(RATE // 2, np.float32)])
    return x + (rng.standard_normal(len(x)) * 10 ** (rng.uniform(-66, -54) / 20)).astype(np.float32)


def write_quiet(out: Path, first: int, minutes: int, speakers: Speakers, composer: Composer) -> None:
    """Goes on where it was. The site has a few facts, as a site has."""
    index = out / "quiet.jsonl"
    done = written(index)
    for i, (name, sound, kind) in enumerate(beds(first + done, first + minutes, Talk(speakers.say, speakers.espeak, first)), first + done):
        write_wav(out / name, sound)
        rng = random.Random(f"quiet facts {i}")
        append(index, {"wav": name, "kind": kind, "facts": composer.distractors(rng, set(), rng.randint(0, 4))})
        print(name, kind, flush=True)


def write_tones(out: Path, count: int, domain: Domain, speakers: Speakers, composer: Composer) -> None:
    """Held-out voices and plain requests in a tone. Goes on where it was."""
    index, tones = out / "tones.jsonl", list(TONES)
    done = written(index)
    names = sorted(n for n in FOCUS if domain.intents[n].get("user") and domain.intents[n].get("style", "neutral") == "neutral")
    for i in range(done, count):
        rng, tone = random.Random(f"tone {i}"), tones[i % len(tones)]
        name = rng.choice(names)
        e = domain.exchange(name, rng, "own")
        facts = list(e.facts) + composer.distractors(rng, {k for k, _ in e.facts}, rng.randint(1, 4), name)
        voice = speakers.pick(True, rng)
        sound = TONES[tone](speakers.say(e.user, voice, rng), np.random.default_rng([22, i]))
        loudest = {"whispered": -22, "shouted": -1}.get(tone, -6)
        write_wav(out / f"tone-{i:03d}.wav", microphone(sound, np.random.default_rng([23, i]), loudest))
        append(index, {"wav": f"tone-{i:03d}.wav", "tone": tone, "wants": ANSWERS[tone], "voice": voice, "said": e.user, "facts": facts})


def values_of(e: Exchange) -> list[str]:
    """The words of the asked facts that a reply must hold."""
    return [v for v in e.slots.values() if any(v in f[1] for f in e.facts) and v in e.reply]


def write_follows(out: Path, count: int, domain: Domain, speakers: Speakers, composer: Composer) -> None:
    """By held-out voices: a request, and what says only what is new in the next ("and the elevator"). Goes on where it was."""
    index = out / "follows.jsonl"
    names = sorted(domain.follows)
    weights = [intent_weight(domain, n) for n in names]
    for i in range(written(index), count):
        rng = random.Random(f"follow case {i}")
        while True:
            first = domain.exchange(rng.choices(names, weights)[0], rng, "own")
            e = domain.follow(first.intent, rng, first.slots)
            if (e.calls or values_of(e)) and not {k for k, _ in first.facts} & {k for k, _ in e.facts}:
                break
        facts = [*first.facts, *e.facts]
        facts += composer.distractors(rng, {k for k, _ in facts}, rng.randint(1, 4), e.intent)
        rng.shuffle(facts)
        voice = speakers.pick(True, rng)
        files = (f"follow-{i:03d}-a.wav", f"follow-{i:03d}-b.wav")
        for k, (file, said) in enumerate(zip(files, (first.user, e.user))):
            write_wav(out / file, microphone(speakers.say(said, voice, rng), np.random.default_rng([25, i, k]), -6))
        append(index, {"wav": files[1], "set": "voices", "voice": voice, "kind": e.kind, "intent": e.intent, "said": e.user, "facts": facts,
                       "calls": e.calls, "values": values_of(e), "missing": False, "reply": e.reply, "before": {"wav": files[0], "said": first.user}})


def write_asked(out: Path, before: int, count: int, domain: Domain, speakers: Speakers, composer: Composer) -> None:
    """Requests for a song, a laugh, a chime or a whisper by held-out voices, behind the `before` tones. Goes on where it was."""
    index = out / "tones.jsonl"
    done = written(index)
    styles = {style: sorted(n for n, x in domain.intents.items() if x["kind"] == "style" and x.get("style") == style) for style in ASKED}
    for i in range(max(0, done - before), count):
        rng, style = random.Random(f"asked {i}"), ASKED[i % len(ASKED)]
        name = rng.choice(styles[style])
        e = domain.exchange(name, rng, "own")
        voice = speakers.pick(True, rng)
        write_wav(out / f"asked-{i:03d}.wav", microphone(speakers.say(e.user, voice, rng), np.random.default_rng([24, i])))
        facts = list(e.facts) + composer.distractors(rng, {k for k, _ in e.facts}, rng.randint(1, 4), name)
        append(index, {"wav": f"asked-{i:03d}.wav", "tone": "asked", "wants": style, "voice": voice, "said": e.user, "facts": facts})


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=300)
    parser.add_argument("--kokoro", type=Path, required=True)
    parser.add_argument("--orders", type=Path, help="a clone of speech-to-intent-benchmark")
    parser.add_argument("--readers", nargs="*", default=[], metavar="SOURCE=FOLDER", help="as `readers` has them")
    parser.add_argument("--follows", type=int, default=0)
    parser.add_argument("--tones", type=int, default=0)
    parser.add_argument("--asked", type=int, default=0)
    parser.add_argument("--quiet-minutes", type=int, default=0)
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    domain, speakers = Domain(), Speakers(args.kokoro)
    composer = Composer(domain, Tokenizer.load(work("tokenizer.json")))
    index = args.out / "cases.jsonl"
    done = written(index)
    for i in range(args.first + done, args.first + args.count):
        rng = random.Random(f"heldout {i}")
        group = ("voices", "phrasings", "both")[i % 3]
        kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
        names = [n for n, x in domain.intents.items() if x["kind"] == kind and x.get("user") and len(x["user"]) > 7]
        if i % 2:  # every other case from the intents that the first bundle learns best; the card reports both
            names = [n for n in names if n in FOCUS]
        name = rng.choices(names, [intent_weight(domain, n) for n in names])[0]
        e = domain.exchange(name, rng, "own" if group == "voices" else "held")
        absent = e.missing is not None and rng.random() < 0.25
        taken = {k for k, _ in e.facts}
        facts = ([] if absent else list(e.facts)) + composer.distractors(rng, taken, rng.randint(1, 6), name)
        rng.shuffle(facts)
        voice = speakers.pick(group != "phrasings", rng)
        sound = microphone(speakers.say(e.user, voice, rng), np.random.default_rng([21, i]))
        write_wav(args.out / f"{i:04d}.wav", sound)
        values = [] if absent else values_of(e)
        case = {"wav": f"{i:04d}.wav", "set": group, "voice": voice, "kind": kind, "intent": name, "said": e.user, "facts": facts,
                "calls": e.calls, "values": values, "missing": absent, "reply": e.missing if absent else e.reply}
        append(index, case)
        if i % 25 == 0:
            print(i, group, voice, "|", e.user, flush=True)
    print(write_people(args.out, write_wav), "recordings of real people", flush=True)
    if args.orders:
        print(write_orders(args.out, args.orders), "orders of real people", flush=True)
    if args.readers:
        sources = [(source, Path(folder)) for source, folder in (x.split("=", 1) for x in args.readers)]
        print(write_readers(args.out, sources, write_wav), "readings of real people", flush=True)
    write_follows(args.out, args.follows, domain, speakers, composer)
    write_tones(args.out, args.tones, domain, speakers, composer)
    write_asked(args.out, args.tones, args.asked, domain, speakers, composer)
    write_quiet(args.out, args.first, args.quiet_minutes, speakers, composer)


if __name__ == "__main__":
    main()
