"""A quick look at a checkpoint, free-running: `python -m parley_train.probe --graph step.fp32.onnx --cases DIR --limit 60`.

The figures that count are those of `npm run eval`, on the int8 bundle through the real engine.
"""
from __future__ import annotations

import argparse
import json
import wave
from collections import Counter
from pathlib import Path

import numpy as np

from .heldout import write_wav
from .host import Host
from .paths import work
from .teach import FOCUS
from .timeline import call_tokens, fact_tokens
from .tokens import Tokenizer


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as f:
        return np.frombuffer(f.readframes(f.getnframes()), np.int16).astype(np.float32) / 32768


def run(host: Host, tok: Tokenizer, case: dict, folder: Path, out: Path | None) -> dict:
    host.reset()
    host.read_facts([i for k, v in case["facts"] for i in fact_tokens(tok, k, v)])
    ticks = host.listen(read_wav(folder / case["wav"]), 45)
    text = [t["text"] for t in ticks]
    calls, words, inside = [], [], None
    for t in text:
        if t in host.call_ids:
            inside = [t]
        elif inside is not None:
            inside.append(t)
            if t == tok.ids["<end>"]:
                calls.append(inside)
                inside = None
        elif t:
            words.append(t)
    said = tok.decode(words)
    want = [call_tokens(tok, c) for c in case["calls"]]
    spoken = [t["speech"] if t["speech"] is not None else np.zeros(1280, np.float32) for t in ticks]
    first = next((i for i, t in enumerate(ticks) if t["speech"] is not None), None)
    if out is not None:
        write_wav(out / case["wav"], np.concatenate(spoken))
    return {"said": said, "heard": tok.decode([t["heard"] for t in ticks]), "calls_right": calls == want, "calls": ["".join(tok.pieces[i] for i in c) for c in calls],
            "value_right": all(v in said for v in case["values"]), "first": first}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--graph", default=str(work("step.fp32.onnx")))
    parser.add_argument("--cases", type=Path, required=True)
    parser.add_argument("--limit", type=int, default=60)
    parser.add_argument("--speech", type=Path)
    parser.add_argument("--focus", action="store_true")
    args = parser.parse_args()
    tok = Tokenizer.load(work("tokenizer.json"))
    host, score, total = Host(args.graph, tok), Counter(), Counter()
    cases = [json.loads(x) for x in (args.cases / "cases.jsonl").read_text().splitlines()]
    cases = [c for c in cases if not args.focus or c["intent"] in FOCUS][: args.limit]
    if args.speech:
        args.speech.mkdir(parents=True, exist_ok=True)
        log = open(args.speech / "cases.jsonl", "w")
    for case in cases:
        r = run(host, tok, case, args.cases, args.speech)
        group = f"{case['kind']}{' focus' if case['intent'] in FOCUS else ''}"
        right = r["calls_right"] if case["kind"] == "action" else r["value_right"] and bool(r["said"])
        score[group] += right
        total[group] += 1
        if args.speech and r["said"]:
            log.write(json.dumps({"wav": case["wav"], "text": r["said"]}) + "\n")
        print("ok " if right else "NO ", case["voice"], "|", case["said"], "| heard:", r["heard"], "| said:", r["said"], r["calls"], "| facts", case["facts"] if case["kind"] == "fact" else "", "want", case["reply"], case["calls"])
    print({k: f"{score[k]}/{total[k]}" for k in total})


if __name__ == "__main__":
    main()
