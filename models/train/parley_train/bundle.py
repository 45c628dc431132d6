"""Work folder -> the bundle that ships: `python -m parley_train.bundle --golden WAV --facts "key: value" --expect "word word"`.

Writes models/pico: bundle.json (hashes, states, grammar), the quantised graphs, the tokenizer, the golden utterance and the licences of what is within.
The card is written by `npm run eval`.
"""
from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import wave
from pathlib import Path

import numpy as np
import onnx

from .codec import BOOKS, CODES
from .paths import BUNDLE, TRAIN, work
from .step import FACTS, STREAM
from .tokens import STYLES

TOOLS = [
    {"name": "goto", "args": [{"name": "place", "type": "words", "maxPieces": 8}]},
    {"name": "move", "args": [{"name": "direction", "type": "enum", "values": ["forward", "back"]},
                              {"name": "metres", "type": "number", "min": 1, "max": 99}]},
    {"name": "come"},
    {"name": "turn", "args": [{"name": "direction", "type": "enum", "values": ["left", "right", "around"]}]},
    {"name": "look", "args": [{"name": "direction", "type": "enum", "values": ["up", "down", "left", "right"]}]},
    {"name": "stop"},
    {"name": "volume", "args": [{"name": "change", "type": "enum", "values": ["up", "down", "mute", "unmute"]}]},
    {"name": "call_staff"},
    {"name": "show", "args": [{"name": "page", "type": "words", "maxPieces": 8}]},
    {"name": "order", "args": [{"name": "quantity", "type": "number", "min": 1, "max": 99}, {"name": "item", "type": "words", "maxPieces": 8}]},
    {"name": "cancel"},
]


def states(graph: onnx.GraphProto, layers: int) -> list[dict]:
    shape = lambda x: [d.dim_value for d in x.type.tensor_type.shape.dim]
    shapes, outputs = {i.name: shape(i) for i in graph.input}, {o.name: shape(o) for o in graph.output}
    out = []
    for i in range(layers):
        out.append({"name": f"k{i}", "output": "k_new", "shape": shapes[f"k{i}"], "kind": "kv-ring", "reset": "session", "slotAxis": 3, "slice": i})
        out.append({"name": f"v{i}", "output": "v_new", "shape": shapes[f"v{i}"], "kind": "kv-ring", "reset": "session", "slotAxis": 2, "slice": i})
    for o in graph.output:
        if o.name.endswith("_new") and o.name not in ("k_new", "v_new"):
            name = o.name[:-4]
            reset = "fact" if name == "fact_trace" else "turn" if name.startswith("voice") else "session"
            axis = next((i for i, (whole, new) in enumerate(zip(shapes[name], outputs[o.name])) if whole != new), None)
            ring = {} if axis is None else {"slotAxis": axis, "slots": outputs[o.name][axis]}
            out.append({"name": name, "output": o.name, "shape": shapes[name], "kind": "ring" if ring else "conv", "reset": reset, **ring})
    return out


def without_lead(source: Path, target: Path, keep: float = 0.08, floor: int = 100) -> None:
    """A copy that begins `keep` seconds before its first sample over `floor` of 32,768: each start plays it, and waits for it."""
    with wave.open(str(source)) as f:
        form, samples = f.getparams(), np.frombuffer(f.readframes(f.getnframes()), np.int16)
    if form.nchannels != 1 or form.sampwidth != 2:
        raise SystemExit(f"{source}: expected one channel of 16 bits")
    first = int(np.argmax(np.abs(samples.astype(np.int32)) > floor))
    with wave.open(str(target), "wb") as f:
        f.setparams(form)
        f.writeframes(samples[max(0, first - int(keep * form.framerate)):].tobytes())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=BUNDLE)
    parser.add_argument("--version", default="0.1.0")
    parser.add_argument("--golden", type=Path, required=True)
    parser.add_argument("--facts", nargs="*", default=[])
    parser.add_argument("--expect", required=True)
    parser.add_argument("--begin", type=float, default=0.0, help="logits added to all but silence between replies (docs/bundle.md, bias)")
    parser.add_argument("--cut", type=float, default=0.0, help="logits added to <cut> in a reply")
    parser.add_argument("--kinds", nargs="+", default=["cpu"])
    args = parser.parse_args()
    args.out.mkdir(parents=True, exist_ok=True)
    names = []
    for kind in args.kinds:
        shutil.copy(work(f"step.{kind}.onnx"), args.out / f"step.{kind}.onnx")
        names.append(f"step.{kind}.onnx")
    shutil.copy(work("tokenizer.json"), args.out / "tokenizer.json")
    without_lead(args.golden, args.out / "golden.wav")
    shutil.copy(TRAIN / "NOTICE", args.out / "NOTICE")  # goes wherever the weights go
    names += ["tokenizer.json", "golden.wav", "NOTICE"]
    graph = onnx.load(str(args.out / f"step.{args.kinds[0]}.onnx")).graph
    keys = next(i for i in graph.input if i.name == "k0").type.tensor_type.shape.dim
    layers = sum(1 for i in graph.input if i.name[0] == "k" and i.name[1:].isdigit())
    vocabulary = len(json.loads((args.out / "tokenizer.json").read_text())["pieces"])
    precision = {"cpu": "int8-u8s8", "trt": "int8-s8s8"}
    stream = lambda name, carries, source, **more: {"name": name, "carries": carries, "embed": {"how": "graph", "input": source}, **more}
    manifest = {
        "schema": 1, "name": "pico", "version": args.version, "licence": "Apache-2.0",
        "description": "Full-duplex voice model for kiosks and robots, 12.5 steps a second.",
        "files": {n: {"bytes": (args.out / n).stat().st_size, "sha256": hashlib.sha256((args.out / n).read_bytes()).hexdigest()} for n in names},
        "tokenizer": {"kind": "pieces", "file": "tokenizer.json", "size": vocabulary},
        "graphs": {"step": {"role": "step", "files": {k: {"path": f"step.{k}.onnx", "precision": precision[k]} for k in args.kinds},
                            "context": {"layers": layers, "heads": keys[1].dim_value, "headSize": keys[2].dim_value, "facts": FACTS,
                                        "stream": STREAM, "ropeTheta": 10000},
                            "states": states(graph, layers)}},
        "streams": [stream("sound", "audio-in", "audio"), stream("channel", "text-in", "text_in", vocabulary=vocabulary),
                    stream("text", "text-out", "text_prev", vocabulary=vocabulary), stream("heard", "heard-out", "heard_prev", vocabulary=vocabulary),
                    stream("codes", "codes-out", "codes_prev", vocabulary=CODES)],
        "combine": "graph",
        "schedule": {"kind": "tick", "ms": 80, "stop": [{"token": "<eot>", "stream": "text"}], "precedence": ["stop", "cut", "call"]},
        "depth": {"mode": "autoregressive", "codebooks": BOOKS, "where": "graph", "conditionedOn": ["hidden"]},
        "codec": {"rate": 16000, "frameRate": 12.5, "codebooks": BOOKS, "codes": CODES, "samplesPerFrame": 1280, "silentCode": CODES, "lookahead": 0},
        "frontEnd": {"rate": 16000, "kind": "waveform", "samplesPerStep": 1280},
        "sampling": {"text": {"method": "greedy", "bias": {"begin": args.begin, "cut": args.cut}}, "heard": {"method": "greedy"}, "codes": {"method": "gumbel", "temperature": [0.5, 0.4, 0.4, 0.4]}},
        "voices": {"default": "pico", "presets": [{"name": "pico", "description": "The one voice of the bundle. There is no voice cloning, by design."}]},
        "tokens": {"none": "<none>", "endOfTurn": "<eot>", "cut": "<cut>", "end": "<end>", "fact": "<fact>", "factSeparator": ":", "typed": "<typed>",
                   "event": "<event>", "call": "<call:*>", "style": "<style:*>"},
        "styles": STYLES, "tools": TOOLS,
        "golden": {"wav": "golden.wav", "facts": args.facts, "expect": {"words": args.expect.split()}, "withinMs": 8000},
    }
    (args.out / "bundle.json").write_text(json.dumps(manifest, indent=1) + "\n")
    total = sum(f.stat().st_size for f in args.out.iterdir())
    print(f"{args.out}: {total / 1e6:.1f} MB")


if __name__ == "__main__":
    main()
