"""Sound that is not for the device: minutes of rooms, noises, music and other people, for the evaluation alone.

Noises come from seeds that no training sound has; talk comes from voices that are never trained on, foreign talk from languages
that nobody speaks in training.
"""
from __future__ import annotations

import random
from collections.abc import Callable, Iterator

import numpy as np

from . import acoustics as a
from .teach import overheard_lines
from .voices import HELD_OUT

SECONDS = 60
KINDS = ("silence", "pink", "white", "hum", "music", "clatter", "babble", "overheard", "foreign")
FOREIGN = {
    "de": ["wo hast du denn die schlüssel hingelegt", "wir müssen noch schnell zum bäcker gehen", "das hat er mir gestern auch schon gesagt",
           "nein danke ich habe gerade erst gegessen", "komm jetzt bitte der zug fährt gleich ab"],
    "fr": ["tu as pensé à fermer la porte en partant", "on se retrouve devant la gare dans dix minutes", "je ne comprends pas ce qu'il a voulu dire",
           "maman je voudrais encore un peu de jus", "il faudrait peut-être demander à quelqu'un"],
    "es": ["no me digas que has olvidado las entradas", "mañana vamos a comer en casa de mi hermana", "espera un momento que me llaman por teléfono",
           "qué calor hace hoy en esta ciudad", "los niños ya están cansados de andar"],
    "it": ["hai sentito che cosa ha detto il professore", "andiamo a prendere qualcosa da bere", "non trovo più il mio ombrello",
           "ti ho chiamato tre volte ieri sera", "domani mattina dobbiamo partire presto"],
    "pl": ["nie wiem gdzie zostawiłem moje okulary", "chodźmy już do domu bo jest późno", "wczoraj cały dzień padał deszcz"],
    "nl": ["heb je de sleutels van de auto gezien", "we gaan straks nog even naar de markt", "dat had je me toch eerder kunnen zeggen"],
}
POOL = 60  # pieces of overheard talk; babble is made of the same


class Talk:
    """Pieces of talk by voices that training never hears; each spoken once."""

    def __init__(self, say: Callable[[str, str, random.Random], np.ndarray], espeak, first: int = 0) -> None:
        self.say, self.espeak, self.lines, self.pieces, self.first = say, espeak, overheard_lines("held"), {}, first

    def overheard(self, rng: random.Random) -> np.ndarray:
        i = self.first + rng.randrange(POOL)
        if i not in self.pieces:
            own = random.Random(f"quiet talk {i}")
            x = self.say(own.choice(self.lines), own.choice(sorted(HELD_OUT)), own)
            self.pieces[i] = (x / (np.abs(x).max() + 1e-6)).astype(np.float32)
        return self.pieces[i]

    def foreign(self, rng: random.Random) -> np.ndarray:
        from .store import resample
        language = rng.choice(sorted(FOREIGN))
        voice = f"{language}+{rng.choice(['m3', 'm7', 'f2', 'f5'])}"
        x = resample(self.espeak.say(rng.choice(FOREIGN[language]), voice, rng.randint(140, 190)), self.espeak.rate)
        return (x / (np.abs(x).max() + 1e-6)).astype(np.float32)


def in_turn(piece: Callable[[random.Random], np.ndarray], n: int, rng: random.Random, noise: np.random.Generator, gap: tuple[float, float]) -> np.ndarray:
    """Talk with pauses, each piece in the room at its own distance; peak about 1."""
    x, at = np.zeros(n, np.float32), int(rng.uniform(0, gap[1]) * a.RATE)
    while at < n:
        y = a.room(piece(rng), noise, rng.uniform(0.15, 0.6)) * rng.uniform(0.3, 1.0)
        m = min(len(y), n - at)
        x[at:at + m] += y[:m]
        at += len(y) + int(rng.uniform(*gap) * a.RATE)
    return x


def bed(i: int, talk: Talk) -> tuple[np.ndarray, str]:
    """The i-th minute and its kind; all decided by i."""
    n, kind = SECONDS * a.RATE, KINDS[i % len(KINDS)]
    rng, noise = random.Random(f"quiet {i}"), np.random.default_rng([31, i])
    floor = a.coloured(n, 1, noise) * 10 ** (rng.uniform(-75, -58) / 20)
    if kind == "silence":
        return floor, kind
    if kind in ("overheard", "foreign"):
        x = in_turn(getattr(talk, kind), n, rng, noise, (0.4, 5.0)) * 10 ** (rng.uniform(-28, -8) / 20)
    elif kind == "babble":
        x = sum(in_turn(talk.overheard, n, rng, noise, (0.0, 0.6)) for _ in range(rng.randint(3, 5)))
        x = x / x.std() * 10 ** (rng.uniform(-45, -25) / 20)
    else:
        make = {"pink": lambda: a.coloured(n, 1, noise), "white": lambda: a.coloured(n, 0, noise), "hum": lambda: a.hum(n, noise),
                "music": lambda: a.music(n, noise), "clatter": lambda: a.clatter(n, noise)}[kind]
        x = make() * 10 ** (rng.uniform(-50, -22) / 20)
    return np.clip(x + floor, -1, 1).astype(np.float32), kind


def beds(first: int, minutes: int, talk: Talk) -> Iterator[tuple[str, np.ndarray, str]]:
    for i in range(first, minutes):
        yield (f"quiet-{i:03d}.wav", *bed(i, talk))
