"""How the voice changes with a style: on its codes, so that any reply can be said in any style, and what tone asks for which.

A whisper is a second set of phone codes, whose sound is breath alone; a chime is codes of its own; the rest is pitch, range
and loudness of the last book, and the teacher's pace.
"""
from __future__ import annotations

import numpy as np

from .acoustics import whispered
from .codec import BOOKS, FRAMES, PHONES, THIRDS
from .encode import nearest
from .store import RATE
from .synth import HOP

PACE = {"cheerful": 1.1, "calm": 0.84, "whisper": 0.88, "sing": 0.72}  # speaking rate, against neutral
ANSWERS = {"whispered": "whisper", "shouted": "calm", "childlike": "cheerful"}
"""The style in which a person's tone is answered."""
PITCH = {"cheerful": (0.22, 1.5, 1.0), "calm": (-0.12, 0.5, -2.5), "laugh": (0.3, 1.6, 1.5), "whisper": (0.0, 1.0, -8.0)}
"""By style: what is added to log F0, what its range is multiplied with, and what is added to the loudness in dB."""
WHISPER, CHIME = 64, 128  # where their codes begin
CHIME_TICKS, CHIME_NOTES = 9, (659.0, 523.0)
MELODY = (0, 4, 7, 4, 5, 2, 4, 0)  # semitones above the singer's own pitch
VOWELS = {PHONES.index(p) for p in "ɪiæaʊɛɑoɚɔeʌuɐɜᵻə" if p in PHONES}


def restyled(codes: np.ndarray, style: str, centres: np.ndarray) -> np.ndarray:
    """Codes [T, BOOKS] of neutral speech -> the same words in `style`. `centres` are the last book's values. A chime is longer."""
    values, out = centres[codes[:, -1]].copy(), codes.copy()
    if style == "sing":
        base, note, before = float(np.median(values[:, 0])), -1, 0
        for k, phones in enumerate(codes[:, :THIRDS]):
            for p in phones:  # a note a vowel
                note += int(int(p) in VOWELS and before not in VOWELS)
                before = int(p)
            values[k, :2] = base + MELODY[max(0, note) % len(MELODY)] * np.log(2) / 12
    elif style in PITCH:
        raised, spread, louder = PITCH[style]
        middle = np.median(values[:, :2])
        values[:, :2] = middle + raised + spread * (values[:, :2] - middle)
        values[:, 2] += louder
    if style in PITCH or style == "sing":
        out[:, -1] = nearest(values, centres)
    if style == "whisper":
        out[:, :THIRDS] = np.where(codes[:, :THIRDS] > 0, codes[:, :THIRDS] + WHISPER, 0)
    return np.concatenate([chime_codes(), out]) if style == "chime" else out


def paced(codes: np.ndarray, pace: float) -> np.ndarray:
    """Codes [T, BOOKS] -> the same words `pace` times as fast: every phone is longer or shorter by the same share."""
    n = max(1, round(len(codes) / pace))
    thirds = np.minimum(((np.arange(n * THIRDS) + 0.5) * pace).astype(int), len(codes) * THIRDS - 1)
    ticks = np.minimum(((np.arange(n) + 0.5) * pace).astype(int), len(codes) - 1)
    return np.concatenate([codes[:, :THIRDS].reshape(-1)[thirds].reshape(n, THIRDS), codes[ticks, THIRDS:]], 1)


def chime_codes() -> np.ndarray:
    return np.stack([np.full(BOOKS, CHIME + k, np.uint8) for k in range(CHIME_TICKS)])


def chime_sound() -> tuple[np.ndarray, np.ndarray]:
    """Two bells, the higher first: sound [CHIME_TICKS·1280] and its F0 [CHIME_TICKS·FRAMES]."""
    n, second = CHIME_TICKS * FRAMES * HOP, 4 * FRAMES * HOP
    x, f0 = np.zeros(n), np.zeros(CHIME_TICKS * FRAMES, np.float32)
    for begin, end, pitch in ((0, second, CHIME_NOTES[0]), (second, n, CHIME_NOTES[1])):
        t = np.arange(end - begin) / RATE
        bell = sum(a * np.sin(2 * np.pi * pitch * k * t) for k, a in ((1, 1.0), (2, 0.35), (3, 0.2), (5, 0.08)))
        x[begin:end] = 0.16 * bell * np.exp(-t * 6) * np.minimum(1, t / 0.004)
        f0[begin // HOP:end // HOP] = pitch
    return x.astype(np.float32), f0


def whisper_of(sound: np.ndarray, codes: np.ndarray, centres: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """A piece of neutral speech as the voice should whisper it: sound and codes."""
    return whispered(sound, np.random.default_rng(len(sound))), restyled(codes, "whisper", centres)
