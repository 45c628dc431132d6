"""Checkpoint -> step graph in ONNX: `python -m parley_train.export --out work/step.fp32.onnx [--random]`."""
from __future__ import annotations

import argparse
import warnings
from pathlib import Path

import torch

from .codec import Codec
from .listen import listener
from .model import Pico, Size
from .moonshine import Listener
from .paths import work
from .step import Step


def build(random_weights: bool = False, size: str = "pico") -> Step:
    torch.manual_seed(3)
    model, codec, ear = Pico(Size.named(size)), Codec(), Listener()
    if not random_weights:
        saved = torch.load(work("pico.pt"), weights_only=False)
        model, ear = Pico.restored(saved), listener()
        codec.load_state_dict(torch.load(work("codec.pt"))["codec"])
    return Step(model, codec, ear).eval()


def export(step: Step, out: Path) -> None:
    warnings.simplefilter("ignore")
    out.parent.mkdir(parents=True, exist_ok=True)
    with torch.no_grad():
        torch.onnx.export(step, tuple(step.example()), str(out), input_names=step.input_names(), output_names=step.output_names(),
                          opset_version=17, dynamo=False, do_constant_folding=True)


def name_shapes(path: Path, step: Step) -> None:
    """Writes the shapes of all outputs into the graph: the exporter leaves out some, and the bundle says them."""
    import onnx
    model = onnx.load(str(path))
    with torch.no_grad():
        shapes = [list(o.shape) for o in step(*step.example())]
    for o, shape in zip(model.graph.output, shapes, strict=True):
        del o.type.tensor_type.shape.dim[:]
        for d in shape:
            o.type.tensor_type.shape.dim.add().dim_value = d
    onnx.save(model, str(path))


def unshare(path: Path) -> None:
    """Gives each product its own matrix and bias: ONNX Runtime cannot fold the Q/DQ of one that is shared."""
    import onnx
    model = onnx.load(str(path))
    initial, seen = {w.name: w for w in model.graph.initializer}, set()
    same = {n.output[0]: n.input[0] for n in model.graph.node if n.op_type == "Identity" and n.input[0] in initial}
    for node in model.graph.node:
        for i, name in enumerate(node.input):
            if node.op_type != "Identity":
                node.input[i] = same.get(name, name)
        if node.op_type not in ("MatMul", "Gemm"):
            continue
        for i in range(1, len(node.input)):
            name = node.input[i]
            if name in seen:
                copy = onnx.TensorProto()
                copy.CopyFrom(initial[name])
                copy.name = f"{name}.{node.output[0]}"
                model.graph.initializer.append(copy)
                node.input[i] = copy.name
            elif name in initial:
                seen.add(name)
    left = [n for n in model.graph.node if not (n.op_type == "Identity" and n.output[0] in same)]
    del model.graph.node[:]
    model.graph.node.extend(left)
    onnx.save(model, str(path))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--out", type=Path, default=work("step.fp32.onnx"))
    parser.add_argument("--random", action="store_true")
    args = parser.parse_args()
    step = build(args.random)
    export(step, args.out)
    unshare(args.out)
    name_shapes(args.out, step)
    import onnx
    model = onnx.load(str(args.out))
    ops = sorted({n.op_type for n in model.graph.node})
    print(args.out, f"{args.out.stat().st_size / 1e6:.1f} MB", len(model.graph.node), "nodes:", " ".join(ops))


if __name__ == "__main__":
    main()
