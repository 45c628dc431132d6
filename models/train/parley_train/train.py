"""Trains the network: `python -m parley_train.train --stage text|joint --minutes M`. Resumes from `pico.pt`.

text: facts and turns as words only (typed, or already on the heard stream), a token a tick: learns to read facts and to answer.
joint: sound in, sound out, full-duplex timelines; a share of text dialogues goes on.
"""
from __future__ import annotations

import argparse
import math
import random
import tempfile
import time

import numpy as np
import torch
from torch import distributed as dist
from torch.nn import functional as F

from .codec import BOOKS, THIRDS
from .device import compute_here, placed
from .domain import Domain
from .hearing import Sounds, blurred, phoneme_loss
from .model import Pico, Size, save
from .optimiser import Optimiser, bfloat16
from .paths import work
from .teach import FOCUS, intent_weight, lines_of, overheard_lines
from .timeline import Composer, arrays
from .tokens import Tokenizer

NONE_SHARE = 0.25  # of the ticks without a token, how many are scored
TEXT_SHARE = 0.3  # of the batches of the joint stage: words are many, and cost little
CUT_WEIGHT = 4.0  # who speaks over a device waits for it to be still
STYLE_WEIGHT = 2.5  # one token of a reply, in few of them


def shifted(x: torch.Tensor) -> torch.Tensor:
    return F.pad(x, (0, 0, 1, 0))[:, :-1] if x.dim() == 3 else F.pad(x, (1, 0))[:, :-1]


def corrupted(ids: torch.Tensor, share: float, vocabulary: int) -> torch.Tensor:
    """Some tokens lost or wrong, so that one slip does not derail a reply."""
    hit = (torch.rand(ids.shape) < share) & (ids > 0)
    wrong = torch.randint(30, vocabulary, ids.shape) * (torch.rand(ids.shape) < 0.6)
    return torch.where(hit, wrong, ids)


def token_loss(h, target, known, logits_of, urgent: dict[int, float] = {}) -> tuple[torch.Tensor, torch.Tensor]:
    """Cross-entropy over all tokens and a share of the empty ticks, weighted back; and the accuracy over tokens.
    `known`: 0 where nothing is to be learned; above 1 an empty tick counts always, and so many times.
    `urgent`: weights of tokens that are rare and matter."""
    some = (target > 0) | (known > 1) | (torch.rand(target.shape) < NONE_SHARE)
    pick = some & (known > 0)
    if not pick.any():
        return h.new_zeros(()), h.new_zeros(())
    logits, y = logits_of(h[pick]), target[pick]
    loss = F.cross_entropy(logits, y, reduction="none")
    worth = known[pick]
    weight = torch.where(y > 0, 1.0, 0.35 * torch.where(worth > 1, worth, 1 / NONE_SHARE))
    for rare, more in urgent.items():
        weight = torch.where(y == rare, more, weight)
    token = y > 0
    accuracy = (logits[token].argmax(-1) == y[token]).float().mean() if token.any() else h.new_zeros(())
    return (loss * weight).sum() / weight.sum(), accuracy


def losses(model: Pico, batch: dict, urgent: dict[int, float], sounds: Sounds | None = None) -> dict[str, torch.Tensor]:
    x = {k: placed(v) for k, v in batch.items() if k != "people"}
    v = model.size.vocabulary
    text, heard, codes = shifted(x["text"]), shifted(x["heard"]), shifted(x["codes"])
    text, heard = corrupted(text, 0.02, v), corrupted(heard, 0.08, v)
    codes = torch.where(torch.rand(codes.shape) < 0.06, codes[:, torch.randperm(codes.shape[1])], codes)
    out, sound = {}, None
    if sounds is not None:
        sound = F.dropout(model.ear(blurred(x["features"], model.ear.scale), model.ear.initial(len(text)))[0], 0.05)
        if people := batch["people"]:
            ticks = torch.tensor([n for _, _, n, _ in people])
            spans = torch.nn.utils.rnn.pad_sequence([sound[i, a:a + n] for i, a, n, _ in people], batch_first=True)
            out["phonemes"] = phoneme_loss(model.to_phonemes(spans), ticks, [sounds.of(words) for *_, words in people])
        if (told := x["tone"] > 0).any():
            guess, tone = model.to_tone(sound[told]), x["tone"][told] - 1
            out["tone"], out["tone_acc"] = F.cross_entropy(guess, tone), (guess.argmax(-1) == tone).float().mean()
    h = model(x["facts"], x["begins"], x["count"], sound, x["channel"], text, heard, codes, shifted(x["speaking"]))
    out["text"], out["text_acc"] = token_loss(h, x["text"], x["text_known"], model.text_logits, urgent)
    out["heard"], out["heard_acc"] = token_loss(h, x["heard"], x["heard_known"], model.heard_logits)
    known = x["speak_known"] > 0
    if known.any():
        out["speak"] = F.binary_cross_entropy_with_logits(model.speaks(h)[..., 0][known], x["speaking"][known])
    coded = x["code_known"] > 0
    if coded.any():
        y = x["codes"][coded]
        logits = model.depth(h[coded], y)
        parts = [F.cross_entropy(logits[k], y[:, k]) for k in range(BOOKS)]
        out["codes"] = sum(w * p for w, p in zip((0.3, 0.3, 0.3, 0.15), parts))
        out["phone_acc"] = sum((logits[k].argmax(-1) == y[:, k]).float().mean() for k in range(THIRDS)) / THIRDS
    return out


WEIGHTS = {"text": 1.0, "heard": 1.2, "speak": 0.7, "codes": 0.9, "phonemes": 0.4, "tone": 0.3}


class Buckets:
    """Batches of timelines of like length: little padding. Makes `ahead` batches at a time, and gives them in random order."""

    def __init__(self, make, fact: int, positions: int, rng: random.Random, ahead: int = 6) -> None:
        self.make, self.fact, self.positions, self.rng, self.ahead, self.ready = make, fact, positions, rng, ahead, []

    def next(self) -> dict[str, np.ndarray]:
        if not self.ready:
            lines, total = [], 0
            while total < self.positions * self.ahead:
                lines.append(self.make())
                total += len(lines[-1]) + len(lines[-1].facts)
            lines.sort(key=lambda x: (len(x) + len(x.facts)) // 16 * 1000 + len(x))
            group: list = []
            for line in lines:
                longest = max([*map(len, group), len(line)]) + max([len(x.facts) for x in group] + [len(line.facts)])
                if group and longest * (len(group) + 1) > self.positions:
                    self.ready.append(group)
                    group = []
                group.append(line)
            self.ready.append(group)
            self.rng.shuffle(self.ready)
        return arrays(self.ready.pop(), self.fact)


def text_line(composer: Composer, names, weights, rng: random.Random, focus: float):
    if rng.random() < focus:
        weights = [w if n in FOCUS else 0.0 for n, w in zip(names, weights)]
    facts = rng.randint(6, 14) if rng.random() < 0.08 else rng.randint(0, 4)
    return composer.text_dialogue(rng, names, weights, rng.randint(1, 3), facts)


class Shared:
    """Workers that train one network, a batch each: their gradients are averaged, and the first one's clock holds for all."""

    def __init__(self, rank: int, workers: int, meeting: str) -> None:
        self.rank, self.workers = rank, workers
        if workers > 1:
            dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=workers)

    def average(self, model: Pico, spent: float) -> float:
        """Averages the gradients in place; returns the mean of `spent`."""
        if self.workers == 1:
            return spent
        for p in model.parameters():
            if p.grad is None:
                p.grad = torch.zeros_like(p)
        grads = [p.grad for p in model.parameters()]
        flat = torch.cat([*(g.reshape(-1) for g in grads), torch.tensor([spent])])
        dist.all_reduce(flat)
        flat /= self.workers
        for g, part in zip(grads, flat[:-1].split([g.numel() for g in grads])):
            g.copy_(part.view_as(g))
        return float(flat[-1])

    def align(self, model: Pico) -> None:
        if self.workers > 1:
            for p in model.parameters():
                dist.broadcast(p.data, 0)


def train(rank: int, args: argparse.Namespace, meeting: str) -> None:
    torch.set_num_threads(args.threads)
    bfloat16()
    together = Shared(rank, args.workers, meeting)
    device = compute_here()
    torch.manual_seed(args.seed)
    domain, tok = Domain(), Tokenizer.load(work("tokenizer.json"))
    composer = Composer(domain, tok, [*overheard_lines("train"), *lines_of("reading.txt")])
    names = [n for n, i in domain.intents.items() if i.get("user")]
    weights = [intent_weight(domain, n) for n in names]
    model, path, step = Pico(Size.named(args.size)), work("pico.pt"), 0
    if path.exists():
        saved = torch.load(path, weights_only=False)
        model, step = Pico.restored(saved), saved["step"]
    model.to(device)
    together.align(model)
    seed = (args.seed * 1_000_003 + step) * 8 + rank  # other lines than those that the steps before had
    torch.manual_seed(seed)
    rng = random.Random(seed)
    optimiser = Optimiser(model, args.optimiser)
    fact = tok.ids["<fact>"]
    urgent = {tok.ids["<cut>"]: CUT_WEIGHT, **{i: STYLE_WEIGHT for t, i in tok.ids.items() if t.startswith("<style:")}}
    texts, feed = Buckets(lambda: text_line(composer, names, weights, rng, args.focus), fact, args.positions, rng), None
    if args.stage == "joint":
        from .joint import Feed
        feed = Feed(composer, rng, args.focus)
        sounds = Buckets(feed.line, fact, args.positions, rng)
        if float(model.ear.mean.abs().sum()) == 0:
            mean, scale = feed.statistics()
            model.ear.mean.copy_(placed(mean))
            model.ear.scale.copy_(placed(scale))
            for value in (model.ear.mean, model.ear.scale):
                if args.workers > 1:
                    dist.broadcast(value, 0)
    if rank == 0:
        print(f"{sum(p.numel() for p in model.parameters()) / 1e6:.2f} M parameters, stage {args.stage}, step {step}", flush=True)
    log, averages, first = open(work("logs", f"{args.stage}.tsv"), "a"), {}, step
    clock = (lambda: time.monotonic() / 60) if args.wall else (lambda: time.process_time() / 60)
    began, limit, spent = clock(), args.wall or args.minutes, 0.0
    while spent <= limit:
        rate = args.rate * min(1, (step - first + 1) / 60) * (args.floor + (1 - args.floor) * 0.5 * (1 + math.cos(math.pi * spent / limit)))
        text_only = feed is None or rng.random() < TEXT_SHARE
        batch = texts.next() if text_only else sounds.next()
        parts = losses(model, batch, urgent, None if text_only else feed.sounds)
        total = sum(WEIGHTS[k] * v for k, v in parts.items() if k in WEIGHTS)
        model.zero_grad(set_to_none=True)
        total.backward()
        spent = together.average(model, clock() - began)
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step(rate)
        step += 1
        for k, v in parts.items():
            name = f"typed_{k}" if text_only and feed else k
            averages[name] = 0.97 * averages.get(name, float(v.detach())) + 0.03 * float(v.detach())
        if step % 100 == 0:
            together.align(model)
        if rank:
            continue
        if step % 20 == 0:
            shape = batch["text"].shape
            line = f"{step}\t{spent:.1f}\t{shape[0]}x{batch['facts'].shape[1]}+{shape[1]}\t" + "\t".join(f"{k} {v:.3f}" for k, v in sorted(averages.items()))
            print(line, flush=True)
            log.write(line + "\n")
            log.flush()
        if step % 100 == 0:
            save(model, path, step=step)
    if rank == 0:
        save(model, path, step=step)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--stage", choices=["text", "joint"], required=True)
    parser.add_argument("--minutes", type=float, default=30, help="of processor time")
    parser.add_argument("--wall", type=float, default=0, help="minutes by the clock instead")
    parser.add_argument("--focus", type=float, default=0.0, help="share of turns from the focus intents; the others have the rest (of text alone: all have)")
    parser.add_argument("--size", default="pico")
    parser.add_argument("--optimiser", choices=["muon", "adamw"], default="muon")
    parser.add_argument("--rate", type=float, default=1.5e-3)
    parser.add_argument("--floor", type=float, default=0.08, help="share of the rate at the end")
    parser.add_argument("--positions", type=int, default=2000, help="facts tokens and ticks in a batch")
    parser.add_argument("--threads", type=int, default=1, help="of each worker")
    parser.add_argument("--workers", type=int, default=1 if torch.cuda.is_available() else 2, help="processes that share the work, a batch each")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.workers == 1:
            train(0, args, "")
        else:
            torch.multiprocessing.spawn(train, (args, f"{folder}/meeting"), args.workers)


if __name__ == "__main__":
    main()
