"""What keeps the ear from learning its few thousand sentences by heart: phonemes as a second task, and features made unlike."""
from __future__ import annotations

import json

import torch
from torch.nn import functional as F

from .acoustics import TONES
from .paths import work
from .spoken import spoken

SUB = 3  # labels a tick: people say up to 20 phonemes a second, and a tick is 80 ms
PHONEMES = 64  # more than espeak-ng's English has
TONE_NAMES = (None, *TONES)


class Sounds:
    """Texts -> phoneme ids from 1 on, without stress and length; kept in a file, for asking espeak is slow."""

    def __init__(self) -> None:
        self.path = work("phonemes.json")
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.ids: dict[str, int] = {}

    def prepare(self, texts: set[str]) -> None:
        if new := texts - self.known.keys():
            from .voices import Phonemes
            espeak = Phonemes()
            for text in new:
                said = espeak.of(" ".join(spoken(text)[0])) if text else ""  # none: talk in another language
                self.known[text] = [p for p in said if p.isalpha() and p not in "ˈˌː"]
            self.path.write_text(json.dumps(self.known))
        for p in sorted({p for v in self.known.values() for p in v}):
            self.ids[p] = len(self.ids) + 1
        assert len(self.ids) < PHONEMES

    def of(self, text: str) -> list[int]:
        return [self.ids[p] for p in self.known[text]]


def blurred(x: torch.Tensor, scale: torch.Tensor) -> torch.Tensor:
    """Features [B, T, F] as another voice in another room might give them: colour, noise, lost ticks, lost features."""
    b, t, f = x.shape
    unit = 1 / scale
    x = x + unit * (0.35 * torch.randn(b, 1, f) + 0.25 * torch.rand(b, 1, 1) * torch.randn(b, t, f))
    x = x * (1 + 0.1 * torch.randn(b, 1, 1))
    keep = (torch.rand(b, t, 1) > 0.04).float() * (torch.rand(b, 1, f) > 0.1).float()
    return x * keep


def phoneme_loss(scores: torch.Tensor, ticks: torch.Tensor, named: list[list[int]]) -> torch.Tensor:
    """CTC of `scores` [B, T, SUB * PHONEMES] over the first `ticks` [B] ticks of each row, to its phonemes."""
    frames = scores.reshape(len(named), -1, PHONEMES).log_softmax(-1).transpose(0, 1)
    return F.ctc_loss(frames, torch.tensor([p for n in named for p in n]), ticks * SUB, torch.tensor([len(n) for n in named]), zero_infinity=True)
