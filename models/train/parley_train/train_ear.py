"""The ear alone, before the network: from features to the words just heard: `python -m parley_train.train_ear --wall 6`.

Two tasks on the ear's output: the network's own heard head must name each word's pieces at the ticks where the heard stream
will write them, and a head that is thrown away afterwards must give the phonemes (CTC, SUB labels a tick), so that it learns
sounds and not the few thousand sentences of the teachers.
"""
from __future__ import annotations

import argparse
import math
import random
import time

import torch
from torch.nn import functional as F

from .domain import Domain
from .hearing import blurred, phoneme_loss
from .joint import Feed
from .model import Pico, Size, save
from .paths import work
from .timeline import Composer, Timeline, arrays
from .tokens import Tokenizer


def batch(feed: Feed, size: int, rng: random.Random) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor, list[str]]:
    """Features, heard tokens, a mask of `size` people's pieces, and their texts."""
    lines = []
    for _ in range(size):
        line, u = Timeline(), (rng.choice(feed.core)[0] if rng.random() < feed.focus else rng.randrange(len(feed.users.items)))
        feed.person(line, 0, u)
        lines.append(line)
    whole = arrays(lines, feed.c.tok.ids["<fact>"])
    _, _, ticks, texts = zip(*whole["people"])
    known = torch.arange(whole["heard"].shape[1]) < torch.tensor(ticks).unsqueeze(1)
    return torch.from_numpy(whole["features"]), torch.from_numpy(whole["heard"]), known, list(texts)


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
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.matmul.fp32_precision = "bf16"
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
    parameters = [*model.ear.parameters(), *model.to_heard.parameters(), model.heard_bias, *model.to_phonemes.parameters()]
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
        ctc = phoneme_loss(model.to_phonemes(sound), known.sum(1), [feed.sounds.of(t) for t in texts])
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
