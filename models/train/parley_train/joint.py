"""Full-duplex training lines from recorded parts: people's features, the target voice's codes, beds of noise and echo."""
from __future__ import annotations

import random

import numpy as np

from .features import FeatureStore
from .hearing import Sounds
from .paths import PROSODY_FILE, work
from .store import Store
from .styles import ANSWERS, CHIME_TICKS, PACE, paced, restyled
from .teach import FOCUS, SILENT, USERS
from .timeline import CUT_LAG, ELLIPTIC, READINGS, REPLY_LAG, TICK_MS, Composer, Timeline
from .tokens import STYLES

SCENES = [("talk", 0.44), ("reading", 0.05), ("typed", 0.04), ("quiet", 0.34), ("heard", 0.10), ("event", 0.03)]
LATE = (0, 0, 0, 1, 2, 3, 5, 8)  # ticks
TURNS = [(1, 0.38), (2, 0.32), (3, 0.14), (4, 0.09), (5, 0.07)]  # of a talk
ASIDE = 0.1  # of the turns: people said something to each other before it
FOREIGN_ASIDE = 0.25  # of what people say to each other: in a language that it does not speak


class Feed:
    def __init__(self, composer: Composer, rng: random.Random, focus: float = 0.0) -> None:
        self.c, self.rng, self.focus = composer, rng, focus
        self.users, self.beds = FeatureStore("users"), FeatureStore("beds")
        self.stores = {n: Store(work("teacher", n)) for n in (*USERS, "replies", "target")}
        self.codes = {n: np.load(work(f"codes-{n}.npz"), allow_pickle=True) for n in ("replies", "target")}
        self.codes = {n: (list(z["codes"]), list(z["onsets"])) for n, z in self.codes.items()}
        self.centres = np.load(PROSODY_FILE)
        replies: dict[tuple, list[int]] = {}
        for i in range(len(self.codes["replies"][0])):
            name, j = self.stores["replies"].items[i]["of"]
            replies.setdefault(composer.domain.asked(self.stores[name].items[j]), []).append(i)
        self.turns: list[tuple[int, list[int]]] = []  # a feature segment and the replies to it
        self.after: dict[str, list[tuple[int, list[int]]]] = {}  # by the intent behind which they are understood
        self.overheard: list[int] = []
        self.foreign: list[int] = []
        self.wide: list[int] = []
        for u, item in enumerate(self.users.items):
            key = tuple(item["of"])
            piece = self.stores[key[0]].items[key[1]]
            if piece["intent"] in SILENT:
                (self.wide if piece["intent"] == "wide" else self.overheard if piece["text"] else self.foreign).append(u)
            elif (asked := composer.domain.asked(piece)) in replies:
                before = composer.domain.before(piece)
                (self.turns if before is None else self.after.setdefault(before, [])).append((u, replies[asked]))
        self.core = [t for t in self.turns if self.piece(t[0])["intent"] in FOCUS]
        self.rest = [t for t in self.turns if self.piece(t[0])["intent"] not in FOCUS]
        self.sounds = Sounds()
        self.sounds.prepare({self.piece(u)["text"] for u in range(len(self.users.items))})
        print(f"feed: {len(self.turns)} turns ({len(self.core)} in focus), {sum(map(len, self.after.values()))} that follow one, {len(self.overheard)} overheard, {len(self.foreign)} foreign, {len(self.wide)} wide, {len(self.beds.items)} beds", flush=True)

    def statistics(self) -> tuple[np.ndarray, np.ndarray]:
        sample = np.concatenate([self.users.get(self.rng.randrange(len(self.users.items))).astype(np.float32) for _ in range(300)])
        return sample.mean(0), 1 / (sample.std(0) + 1e-3)

    def piece(self, u: int) -> dict:
        name, j = self.users.items[u]["of"]
        return self.stores[name].items[j]

    def speech(self, store: str, i: int, style: str) -> dict:
        codes, onsets = self.codes[store]
        pace = PACE.get(style, 1.0) if self.stores[store].items[i]["style"] == "neutral" else 1.0  # else the teacher spoke at it
        late = CHIME_TICKS * TICK_MS if style == "chime" else 0
        return {"codes": restyled(paced(codes[i], pace), style, self.centres), "onsets": [t / pace + late for t in onsets[i]]}

    def style(self, u: int, reply: dict) -> str:
        """Of a reply: its own, or the one that the person's tone asks for."""
        return ANSWERS.get(self.users.items[u].get("tone"), "neutral") if reply["style"] == "neutral" else reply["style"]

    def turn(self) -> tuple[int, list[int]]:
        return self.rng.choice(self.core if self.rng.random() < self.focus else self.rest)

    def line(self) -> Timeline:
        scene = self.rng.choices([s for s, _ in SCENES], [w for _, w in SCENES])[0]
        line = getattr(self, scene)()
        self.fill(line)
        return line

    def fill(self, line: Timeline) -> None:
        """Puts beds where no person is heard: stretches that change now and then. Some are a room in which somebody is about to
        speak, or has just spoken, and nobody does: the change of a room alone must say nothing."""
        at = 0
        while at < len(line):
            if line.features[at] is not None:
                at += 1
                continue
            bed = self.empty_room() if self.rng.random() < 0.3 else self.beds.get(self.rng.randrange(len(self.beds.items)))
            start = self.rng.randrange(max(1, len(bed) - 4))
            for row in bed[start: start + self.rng.randint(4, 60)]:
                if at >= len(line) or line.features[at] is not None:
                    break
                line.features[at] = row
                at += 1

    def empty_room(self) -> np.ndarray:
        """What was recorded before a person's first word, or well after the last."""
        u = self.rng.randrange(len(self.users.items))
        rows, words = self.users.get(u), self.users.items[u]["words"]
        before, after = int(words[0][0] // 80) - 1, int(words[-1][1] // 80) + 4
        return rows[:before] if before > 1 and self.rng.random() < 0.6 or after >= len(rows) - 1 else rows[after:]

    def person(self, line: Timeline, begin: int, u: int) -> tuple[int, int]:
        """A person's piece from tick `begin`, often without all of the silence before it; returns the ticks of its first word's
        start and its last word's end."""
        rows, words = self.users.get(u), self.users.items[u]["words"]
        skip = self.rng.randint(0, max(0, int(words[0][0] // 80) - 1)) if self.rng.random() < 0.7 else 0
        rows, words = rows[skip:], [(b - 80 * skip, e - 80 * skip) for b, e in words]
        line.extend(begin + len(rows), True)
        for k, row in enumerate(rows):
            line.features[begin + k] = row
        line.people.append((begin, len(rows), self.piece(u)["text"]))
        first, last = begin + int(words[0][0] // 80), self.c.hear(line, begin, self.piece(u)["text"], words, True)
        self.c.tone(line, first, last, self.users.items[u].get("tone"))
        return first, last

    def aside(self, line: Timeline, begin: int) -> int:
        """What people say to each other, and nobody answers; returns the tick of its last word's end."""
        pieces = self.foreign if self.foreign and self.rng.random() < FOREIGN_ASIDE else self.overheard
        last = self.person(line, begin, self.rng.choice(pieces))[1]
        self.c.still(line, last + 1, True)
        return last

    def talk(self) -> Timeline:
        rng, line, taken, facts, events = self.rng, Timeline(), set(), [], []
        turns = []
        for _ in range(rng.choices([n for n, _ in TURNS], [w for _, w in TURNS])[0]):
            following = self.after.get(self.piece(turns[-1][0])["intent"]) if turns and rng.random() < ELLIPTIC else None
            u, options = rng.choice(following) if following else self.turn()
            r = rng.choice(options)
            reply = self.stores["replies"].items[r]
            keys = {k for k, _ in [*reply["facts"], *reply["absent"]]}
            if keys & taken:
                continue
            taken |= keys
            for key, value in reply["facts"]:
                (events if key in READINGS and rng.random() < 0.5 else facts).append((key, value))
            turns.append((u, r, reply))
        facts += self.c.distractors(rng, taken, rng.choice([0, 1, 2, 3, 4, 6]), turns[0][2]["intent"])
        self.c.facts(line, facts, rng)
        at = rng.randint(0, 5)
        for key, value in events:
            at = self.c.event(line, at, f"{key} {value}", True) + 1
        spoken_until = -1
        for n, (u, r, reply) in enumerate(turns):
            if at > spoken_until and rng.random() < ASIDE:
                at = self.aside(line, at) + rng.randint(10, 24)
            begin = at
            first, last = self.person(line, begin, u)
            if first + CUT_LAG < spoken_until - 1:  # the person speaks over the reply: it is cut
                self.cut(line, first + CUT_LAG, min(rng.choice(LATE), spoken_until - 2 - first - CUT_LAG, last - first))
            start = last + REPLY_LAG
            style = self.style(u, reply)
            end = self.c.reply(line, start, reply["text"], reply["calls"], style, self.speech("replies", r, style), True)
            spoken_until = end
            lead = int(self.users.items[turns[n + 1][0]]["words"][0][0] // 80) if n + 1 < len(turns) else 0
            if n + 1 < len(turns) and rng.random() < 0.7 and end - start > 8:
                at = max(last + 14, rng.randint(start + 3, end - 3) - lead)
            else:
                at = end + rng.randint(1, 12)
            at = max(at, last + 14)
        line.extend(max(len(line), spoken_until + rng.randint(2, 6)), True)
        return line

    def cut(self, line: Timeline, due: int, late: int) -> None:
        """Ends a reply `late` ticks after it was due: what would have come later was never said. The ticks between teach nothing:
        so the network learns to stop from wherever it is, not only at the one tick that is ideal."""
        token, at = self.c.tok.ids, due + max(0, late)
        for k in range(due, min(at, len(line))):
            line.text_known[k] = line.speak_known[k] = 0
        for k in range(at, len(line)):
            line.text[k], line.speaking[k], line.codes[k] = 0, 0, None
        if at < len(line):
            line.text[at] = token["<cut>"]

    def reading(self) -> Timeline:
        """The voice alone: words given, codes learned. No text is to be guessed."""
        rng, line, at = self.rng, Timeline(), self.rng.randint(0, 3)
        for _ in range(rng.randint(1, 3)):
            i = rng.randrange(len(self.codes["target"][0]))
            style = rng.choice(STYLES) if rng.random() < 0.25 else "neutral"
            end = self.c.reply(line, at, self.stores["target"].items[i]["text"], [], style, self.speech("target", i, style), True)
            for k in range(at, end):
                line.text_known[k] = 0
            at = end + rng.randint(1, 4)
        line.extend(at, True)
        return line

    def typed(self) -> Timeline:
        rng, line = self.rng, Timeline()
        u, options = self.turn()
        r = rng.choice(options)
        reply = self.stores["replies"].items[r]
        taken = {k for k, _ in [*reply["facts"], *reply["absent"]]}
        self.c.facts(line, [tuple(f) for f in reply["facts"]] + self.c.distractors(rng, taken, rng.randint(0, 4), reply["intent"]), rng)
        at = self.c.typed(line, rng.randint(0, 6), self.piece(u)["text"], True)
        end = self.c.reply(line, at, reply["text"], reply["calls"], reply["style"], self.speech("replies", r, reply["style"]), True)
        line.extend(end + rng.randint(1, 5), True)
        return line

    def quiet(self) -> Timeline:
        """Nothing is for the device: noise, music, its own residue, other people's talk."""
        rng, line = self.rng, Timeline()
        self.c.facts(line, self.c.distractors(rng, set(), rng.randint(0, 4)), rng)
        line.extend(rng.randint(30, 100), True)
        at = rng.randint(0, 20)
        for _ in range(rng.choices([0, 1, 2, 4], [0.22, 0.34, 0.32, 0.12])[0]):
            at = self.aside(line, at) + rng.randint(5, 30)
        line.extend(len(line) + 6, True)
        return line

    def heard(self) -> Timeline:
        """Words in no order that anybody means: only hearing is learned, and not to speak before they end."""
        rng, line = self.rng, Timeline()
        self.c.facts(line, self.c.distractors(rng, set(), rng.randint(0, 3)), rng)
        last = self.person(line, rng.randint(0, 6), rng.choice(self.wide or self.overheard))[1]
        for k in range(last + 1, len(line)):
            line.text_known[k] = line.speak_known[k] = 0
        return line

    def event(self) -> Timeline:
        """Something happened; the device may have a word to say (text alone, its speech is not learned here)."""
        rng, line = self.rng, Timeline()
        names = [n for n, i in self.c.domain.intents.items() if i["kind"] == "event"]
        intent = self.c.domain.intents[rng.choice(names)]
        values: dict[str, str] = {}
        said = self.c.domain.fill(str(intent["event"]), values, rng)
        self.c.facts(line, self.c.distractors(rng, set(), rng.randint(0, 3)), rng)
        at = self.c.event(line, rng.randint(2, 10), said, True)
        options = intent.get("reply") or []
        if options:
            reply = self.c.domain.fill(rng.choice(options), values, rng)
            calls = intent.get("call") or []
            at = self.c.reply(line, at, reply, [calls] if isinstance(calls, str) else calls, intent.get("style", "neutral"), None, True)
        line.extend(at + rng.randint(4, 12), True)
        return line
