"""fp32 step graph -> int8, calibrated on real ticks: `python -m parley_train.quantise`.

`cpu`: U8 activations, S8 weights (fastest without VNNI); the listener's activations by each tick's own range. `trt`: symmetric S8 Q/DQ, the
listener as it is: Q/DQ has one range for all ticks, with which it hears nothing (docs/adr/0054). Only the big matrix products are quantised: what the network learned, not the signal processing.
Of the `cpu` graph the voice runs only in ticks in which it speaks.
"""
from __future__ import annotations

import argparse
import random
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import CalibrationDataReader, CalibrationMethod, QuantFormat, QuantType, quantize_dynamic, quantize_static

from .host import Host
from .moonshine import WIDTH
from .paths import work
from .rooms import segments
from .sometimes import only_when_it_speaks
from .store import Store
from .timeline import fact_tokens
from .tokens import Tokenizer

# Signal processing; and what 256 steps cannot hold: products whose input (gate times up; sums of tokens) has outliers 20 to 50
# times its size. Measured: 22 dB of signal over rounding there, 33 to 41 dB everywhere else.
KEEP_FP32 = ("synth", "/down", "from_traces")


class Reader(CalibrationDataReader):
    def __init__(self, feeds: list[dict]) -> None:
        self.feeds = iter(feeds)

    def get_next(self):
        return next(self.feeds, None)


def calibration_feeds(fp32: Path, tok: Tokenizer, turns: int) -> list[dict]:
    """Inputs of real ticks: people asking, the model answering, some silence. Every fifth tick is kept."""
    host, rng = Host(str(fp32), tok, seed=5), random.Random(5)
    kept: list[dict] = []
    replies, heard = Store(work("teacher", "replies")), {}
    for store, i in segments("users"):  # as a microphone hears them: noise and rooms widen the ranges
        heard.setdefault(tuple(store.items[i]["of"]), []).append((store, i))
    asked = [x for x in replies.items if tuple(x["of"]) in heard]
    for _ in range(turns):
        item = rng.choice(asked)
        store, i = rng.choice(heard[tuple(item["of"])])
        host.reset()
        host.feeds = []
        host.read_facts([i for k, v in item["facts"] for i in fact_tokens(tok, k, v)])
        host.listen(store.samples(i), 25)
        kept += host.feeds[rng.randrange(3)::5]
    rng.shuffle(kept)
    return kept


def big_products(path: Path) -> tuple[list[str], list[str]]:
    """Names of the MatMul/Gemm nodes that multiply by a learned matrix of at least 8,192 values: the network's, the listener's."""
    graph = onnx.load(str(path)).graph
    weights = {w.name: tuple(w.dims) for w in graph.initializer}
    big = {n.name: weights.get(n.input[1], ()) for n in graph.node if n.op_type in ("MatMul", "Gemm")}
    big = {n: s for n, s in big.items() if s and np.prod(s) >= 8192 and not any(k in n for k in KEEP_FP32)}
    listener = {n for n, s in big.items() if WIDTH in s or 7 * WIDTH in s}
    return [n for n in big if n not in listener], [n for n in big if n in listener]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--fp32", type=Path, default=work("step.fp32.onnx"))
    parser.add_argument("--kinds", nargs="+", default=["cpu", "trt"])
    parser.add_argument("--turns", type=int, default=24)
    args = parser.parse_args()
    tok = Tokenizer.load(work("tokenizer.json"))
    feeds = calibration_feeds(args.fp32, tok, args.turns)
    network, listener = big_products(args.fp32)
    print(len(feeds), "ticks,", len(network), "+", len(listener), "products", flush=True)
    for kind, activation in (("cpu", QuantType.QUInt8), ("trt", QuantType.QInt8)):
        if kind not in args.kinds:
            continue
        out, source, names = work(f"step.{kind}.onnx"), args.fp32, network
        if kind == "cpu":  # A frame's range is its own: over all of them it is 60 times a frame's size. First these: ONNX Runtime 1.30 dies of the other order.
            source = work("step.dynamic.onnx")
            quantize_dynamic(str(args.fp32), str(source), op_types_to_quantize=["MatMul"], per_channel=True, weight_type=QuantType.QInt8,
                             nodes_to_quantize=listener)
            names = big_products(source)[0]  # by their new names
        quantize_static(str(source), str(out), Reader(list(feeds)), quant_format=QuantFormat.QDQ, per_channel=True,
                        activation_type=activation, weight_type=QuantType.QInt8, nodes_to_quantize=names,
                        calibrate_method=CalibrationMethod.MinMax,
                        # The range is that of all ticks: averaged over them it cut the peaks off, which cost 14 dB, and half of the right replies.
                        extra_options={"ActivationSymmetric": kind == "trt", "WeightSymmetric": True, "MinimumRealRange": 1e-4})
        if kind == "cpu":
            onnx.save(only_when_it_speaks(onnx.load(str(out))), str(out))
        print(out, f"{out.stat().st_size / 1e6:.1f} MB", flush=True)


if __name__ == "__main__":
    main()
