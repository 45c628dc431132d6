"""The engine's side of the step graph, in Python: for calibration and for measuring while training. The product's is TypeScript."""
from __future__ import annotations

import numpy as np

from .codec import BOOKS, CODES
from .moonshine import TICK
from .tokens import SPECIALS, Tokenizer

FACTS, STREAM = 512, 768
SLOTS = FACTS + STREAM
IDLE = 125  # ticks after which one without words is closed, as in the engine (docs/adr/0023)


class Host:
    def __init__(self, path: str, tok: Tokenizer, temperature: float = 0.6, seed: int = 1) -> None:
        import onnxruntime as ort
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.add_session_config_entry("session.x64quantprecision", "1")
        self.session = ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        self.tok, self.temperature, self.rng = tok, temperature, np.random.default_rng(seed)
        kind = {"tensor(float)": np.float32, "tensor(int64)": np.int64}
        self.inputs = {i.name: np.zeros(i.shape, kind[i.type]) for i in self.session.get_inputs()}
        self.outputs = [o.name for o in self.session.get_outputs()]
        self.layers = sum(1 for n in self.inputs if n[0] == "k" and n[1:].isdigit())
        self.size = self.inputs["k0"].shape[2]
        self.states = [n[:-4] for n in self.outputs if n.endswith("_new") and n not in ("k_new", "v_new")]
        self.call_ids = {i for i, p in enumerate(SPECIALS) if p.startswith("<call:")}
        self.reset()

    def reset(self) -> None:
        for a in self.inputs.values():
            a.fill(0)
        self.inputs["mask"].fill(-1e9)
        self.inputs["codes_prev"][0] = [CODES] + [0] * (BOOKS - 1)
        self.count, self.tick, self.in_call = 0, 0, False
        self.idle = [False] * STREAM
        self.feeds: list[dict] | None = None

    def rope(self, position: int) -> np.ndarray:
        phase = position * 10_000.0 ** (-np.arange(self.size // 2) * 2 / self.size)
        return np.stack([np.cos(phase), np.sin(phase)]).astype(np.float32)

    def run(self) -> dict:
        if self.feeds is not None:
            self.feeds.append({k: v.copy() for k, v in self.inputs.items()})
        return dict(zip(self.outputs, self.session.run(None, self.inputs)))

    def keep(self, out: dict, slot: int) -> None:
        for i in range(self.layers):
            self.inputs[f"k{i}"][0, :, :, slot] = out["k_new"][i]
            self.inputs[f"v{i}"][0, :, slot, :] = out["v_new"][i]
        self.inputs["mask"][0, slot] = 0

    def read_facts(self, ids: list[int]) -> None:
        x = self.inputs
        x["live"][:] = 0
        for i, token in enumerate(ids):
            if token == self.tok.ids["<fact>"]:
                x["fact_trace"].fill(0)
            x["text_in"][:] = token
            x["rope_stream"][:] = x["rope_facts"][:] = self.rope(i)
            out = self.run()
            self.keep(out, i)
            x["fact_trace"][:] = out["fact_trace_new"]
        x["fact_trace"].fill(0)
        self.count = len(ids)
        x["text_in"][:] = 0

    def grammar(self) -> None:
        mask = self.inputs["text_mask"][0]
        mask.fill(0)
        if self.in_call:
            mask[: len(SPECIALS)] = -1e9
            mask[self.tok.ids["<end>"]] = 0
        else:
            mask[self.tok.ids["<end>"]] = -1e9

    def step(self, audio: np.ndarray, channel: int = 0) -> dict:
        x = self.inputs
        x["audio"][0], x["text_in"][:], x["live"][:] = audio, channel, 1
        x["rope_stream"][:], x["rope_facts"][:] = self.rope(self.tick), self.rope(self.count)
        self.grammar()
        x["noise"][:] = -np.log(-np.log(self.rng.random(x["noise"].shape) + 1e-9)) * self.temperature
        out = self.run()
        self.keep(out, FACTS + self.tick % STREAM)
        text, silent = int(out["text"][0, 0]), out["codes"][0, 0] == CODES
        x["text_prev"][:], x["heard_prev"][:], x["codes_prev"][:] = out["text"], out["heard"], out["codes"]
        for s in self.states:
            if s == "fact_trace":
                continue
            new = out[f"{s}_new"]
            if new.shape != x[s].shape:  # a ring: over the oldest
                axis = next(i for i, (a, b) in enumerate(zip(new.shape, x[s].shape)) if a != b)
                at = self.tick * new.shape[axis] % x[s].shape[axis]
                x[s][(slice(None),) * axis + (slice(at, at + new.shape[axis]),)] = new
            else:
                x[s][:] = 0 if silent and s.startswith("voice") else new
        self.in_call = text in self.call_ids or (self.in_call and text != self.tok.ids["<end>"])
        self.idle[self.tick % STREAM] = channel == 0 and text == 0 and silent and int(out["heard"][0, 0]) == 0
        old = (self.tick - IDLE) % STREAM
        if self.tick >= IDLE and self.idle[old]:
            x["mask"][0, FACTS + old] = -1e9
        self.tick += 1
        return {"text": text, "heard": int(out["heard"][0, 0]), "speech": None if silent else out["speech"][0]}

    def listen(self, sound: np.ndarray, more: int = 40, channel: list[int] | None = None) -> list[dict]:
        """A whole recording and `more` quiet ticks."""
        n = -(-len(sound) // TICK) + more
        padded = np.zeros(n * TICK, np.float32)
        padded[: len(sound)] = sound
        channel = (channel or []) + [0] * n
        return [self.step(padded[i * TICK:(i + 1) * TICK], channel[i]) for i in range(n)]
