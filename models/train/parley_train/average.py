"""Checkpoints of one line of training -> their mean: `python -m parley_train.average --before OLD.pt [--share 0.4]`.

A training that goes on from a bundle ends elsewhere than it began: better at what its data is about, worse at some of what it knew. The mean of
both weights keeps most of either (model soups: Wortsman et al. 2022, arXiv 2203.05482). It holds only for checkpoints where one grew out of the other.
"""
from __future__ import annotations

import argparse
from pathlib import Path

import torch

from .model import Pico, save
from .paths import work


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--before", type=Path, required=True, help="what training began from: `resume` writes it")
    parser.add_argument("--share", type=float, default=0.5, help="of the one before")
    parser.add_argument("--out", type=Path, default=work("pico.pt"))
    args = parser.parse_args()
    before, after = (torch.load(p, weights_only=False) for p in (args.before, work("pico.pt")))
    if before["size"] != after["size"]:
        raise SystemExit(f"{args.before} has the size {before['size']}, pico.pt {after['size']}")
    for name, value in after["model"].items():
        if torch.is_floating_point(value):
            value.lerp_(before["model"].get(name, value), args.share)  # a head of training alone may be new
    save(Pico.restored(after), args.out, step=after["step"])


if __name__ == "__main__":
    main()
