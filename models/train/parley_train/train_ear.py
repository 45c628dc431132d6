"""The ear alone, before the network: from features to the words just heard: `python -m parley_train.train_ear --wall 6`.

Two tasks on the ear's output: the network's own heard head must name each word's pieces at the ticks where the heard stream
will write them, and a head that is thrown away afterwards must give the phonemes (CTC, SUB labels a tick), so that it learns
sounds and not the few thousand sentences of the teachers. Costs a tenth of joint training a tick.
"""
from __future__ import annotations

import argparse
import json
import math
import random
import time

import numpy as np
import torch
from torch.nn import functional as F

from .domain import Domain
from .joint import Feed
from .model import Pico, Size, save
from .paths import work
from .timeline import Composer, Timeline
from .spoken import spoken
from .tokens import Tokenizer

SUB = 3


class Sounds:
    """Texts -> phoneme ids from 1 on, without stress and length; kept in a file, for asking espeak is slow."""

    def __init__(self) -> None:
        self.path = work("phonemes.json")
        self.known = json.loads(self.path.read_text()) if self.path.exists() else {}
        self.ids: dict[str, int] = {}

    def prepare(self, texts: set[str]) -> int:
        from .voices import Phonemes
        espeak = Phonemes()
        for text in texts - self.known.keys():
            self.known[text] = [p for p in espeak.of(" ".join(spoken(text)[0])) if p.isalpha() and p not in "ˈˌː"]
        self.path.write_text(json.dumps(self.known))
        for p in sorted({p for v in self.known.values() for p in v}):
            self.ids[p] = len(self.ids) + 1
        return len(self.ids) + 1

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


def batch(feed: Feed, size: int, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """Features, heard tokens, a mask of `size` people's pieces, and their texts."""
    lines, texts = [], []
    for _ in range(size):
        line, u = Timeline(), (rng.choice(feed.core)[0] if rng.random() < feed.focus else rng.randrange(len(feed.users.items)))
        feed.person(line, 0, u)
        lines.append(line)
        texts.append(feed.piece(u)["text"])
    t = max(map(len, lines))
    x, y, known = np.zeros((size, t, feed.users.get(0).shape[1]), np.float32), np.zeros((size, t), np.int64), np.zeros((size, t), bool)
    for i, line in enumerate(lines):
        for k, row in enumerate(line.features):
            if row is not None:
                x[i, k], known[i, k] = row, True
        y[i, : len(line)] = line.heard
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(known), texts


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wall", type=float, default=6, help="minutes")
    parser.add_argument("--focus", type=float, default=0.5)
    parser.add_argument("--rate", type=float, default=2e-3)
    parser.add_argument("--batch", type=int, default=48)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--file", default="pico.pt", help="checkpoint in the work folder")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    seed = int(time.time())
    torch.manual_seed(seed)
    rng = random.Random(seed)
    feed = Feed(Composer(Domain(), Tokenizer.load(work("tokenizer.json"))), rng, args.focus)
    path = work(args.file)
    saved = torch.load(path, weights_only=False)
    model = Pico(Size(**saved["size"]))
    model.load_state_dict(saved["model"])
    if float(model.ear.mean.abs().sum()) == 0:
        mean, scale = feed.statistics()
        model.ear.mean.copy_(torch.from_numpy(mean))
        model.ear.scale.copy_(torch.from_numpy(scale))
    model.words.weight.requires_grad_(False)
    sounds = Sounds()
    phonemes = sounds.prepare({feed.piece(u)["text"] for u in range(len(feed.users.items))})
    to_phonemes = torch.nn.Linear(model.size.width, SUB * phonemes)
    parameters = [*model.ear.parameters(), *model.to_heard.parameters(), model.heard_bias, *to_phonemes.parameters()]
    optimiser = torch.optim.AdamW(parameters, args.rate, betas=(0.9, 0.95), weight_decay=0.05)
    began, step, averages = time.monotonic(), 0, {}
    while (spent := (time.monotonic() - began) / 60) < args.wall:
        for group in optimiser.param_groups:
            group["lr"] = args.rate * min(1, (step + 1) / 50) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * spent / args.wall)))
        x, y, known, texts = batch(feed, args.batch, rng)
        sound, _ = model.ear(blurred(x, model.ear.scale), model.ear.initial(len(x)))
        sound = F.dropout(sound, 0.1)
        pick = known & ((y > 0) | (torch.rand(y.shape) < 0.25))
        logits = model.heard_logits(model.norm(sound[pick]))
        named = [sounds.of(t) for t in texts]
        frames = to_phonemes(sound).reshape(len(x), -1, phonemes).log_softmax(-1).transpose(0, 1)
        ctc = F.ctc_loss(frames, torch.tensor([p for n in named for p in n]), known.sum(1) * SUB, torch.tensor([len(n) for n in named]), zero_infinity=True)
        words = F.cross_entropy(logits, y[pick])
        loss = words + 0.7 * ctc
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimiser.step()
        step += 1
        token = y[pick] > 0
        for k, v in (("loss", loss), ("words", (logits.argmax(-1) == y[pick])[token].float().mean())):
            averages[k] = 0.97 * averages.get(k, float(v.detach())) + 0.03 * float(v.detach())
        if step % 50 == 0:
            print(f"{step}\t{spent:.1f}\t{averages['loss']:.3f}\twords {averages['words']:.3f}", flush=True)
    save(model, path, step=saved["step"])


if __name__ == "__main__":
    main()
