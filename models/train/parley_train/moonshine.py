"""The listener: Moonshine tiny's encoder (Moonshine AI, MIT licence), made causal, three frames a tick.

The original hears a whole utterance at once. Differences here: each frame sees its own tick and the WINDOW ticks before it; its
group norm over the utterance is a loudness that follows peaks; sound runs 11 % fast (16 kHz resampled to 14.4 kHz), so that a tick
is three whole frames. `listen.py` trains what this costs back.
"""
from __future__ import annotations

import zipfile
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

TICK = 1280  # samples
WIDTH, LAYERS, HEADS, HIDDEN = 288, 6, 8, 1152
FRAMES = 3  # a tick
WINDOW = 30  # ticks before its own that a frame sees
SIZE, ROTARY, THETA = WIDTH // HEADS, 32, 10_000.0
TAPS = 60  # of the resampler, at 16 kHz
FORGET = 0.98  # of the loudness, a tick
FLOOR = 3e-6  # power after the first convolution, of a quiet room
SHARE = 0.25  # of the peak's power, the power of a whole utterance
FEATURES = FRAMES * WIDTH + 2


def resampler() -> torch.Tensor:
    """Nine output phases a ten input samples -> [9, 1, TAPS]; a windowed sinc, its delay half its length."""
    at = torch.arange(TAPS).double() - (TAPS - 10)
    out = []
    for phase in range(9):
        x = at - (phase * 10 / 9 - (TAPS - 10) / 2)
        out.append(torch.sinc(x * 0.9) * 0.9 * torch.cos(torch.pi * x / (TAPS + 2)).clamp(min=0) ** 2)
    return torch.stack(out).float().unsqueeze(1)


def turned(x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> torch.Tensor:
    """x [B, H, T, SIZE], its first ROTARY values turned, first half against second, by cos, sin [T, ROTARY / 2]."""
    a, b, rest = x.split([ROTARY // 2, ROTARY // 2, SIZE - ROTARY], -1)
    return torch.cat([a * cos - b * sin, b * cos + a * sin, rest], -1)


def speeds() -> torch.Tensor:
    return THETA ** (-torch.arange(0, ROTARY, 2).double() / ROTARY)


def positions(count: int) -> tuple[torch.Tensor, torch.Tensor]:
    phase = torch.arange(count).double().unsqueeze(1) * speeds()
    return phase.cos().float(), phase.sin().float()


class Layer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(WIDTH, bias=False), nn.LayerNorm(WIDTH, bias=False)
        self.qkv, self.o = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)  # queries have their scale within
        self.grow, self.shrink = nn.Linear(WIDTH, HIDDEN), nn.Linear(HIDDEN, WIDTH)

    def heads(self, x: torch.Tensor, cos: torch.Tensor, sin: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """-> queries and keys, turned, and values, [B, HEADS, T, SIZE] each."""
        x = self.qkv(self.norm1(x)).unflatten(-1, (3 * HEADS, SIZE)).transpose(1, 2)
        return (*turned(x[:, :2 * HEADS], cos, sin).chunk(2, 1), x[:, 2 * HEADS:])

    def close(self, x: torch.Tensor, seen: torch.Tensor) -> torch.Tensor:
        """x [B, T, WIDTH] and what its heads saw [B, HEADS, T, SIZE]."""
        x = x + self.o(seen.transpose(1, 2).flatten(2))
        return x + self.shrink(F.gelu(self.grow(self.norm2(x))))


class Listener(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("resample", resampler(), persistent=False)
        self.register_buffer("frame_turns", (torch.arange(FRAMES).double().unsqueeze(1) * speeds()).float(), persistent=False)
        self.register_buffer("tick_turn", (FRAMES * speeds()).float(), persistent=False)
        self.conv1 = nn.Conv1d(1, WIDTH, 127, 64, bias=False)
        self.gain, self.offset = nn.Parameter(torch.ones(WIDTH)), nn.Parameter(torch.zeros(WIDTH))
        self.conv2 = nn.Linear(7 * WIDTH, 2 * WIDTH)  # over seven columns, every third
        self.conv3 = nn.Linear(3 * 2 * WIDTH, WIDTH)  # over three, every second
        self.layers = nn.ModuleList([Layer() for _ in range(LAYERS)])
        self.norm = nn.LayerNorm(WIDTH, bias=False)

    def initial(self, batch: int) -> list[torch.Tensor]:
        """All zeros: sound, sound at 14.4 kHz, loudness, two convolutions' columns, the angle of now; then what goes round in a ring, a
        tick's FRAMES over the oldest: who is there, keys and values of each layer."""
        past = WINDOW * FRAMES
        return [torch.zeros(batch, TAPS - 10), torch.zeros(batch, 63), torch.zeros(batch, 1), torch.zeros(batch, 4, WIDTH),
                torch.zeros(batch, 1, 2 * WIDTH), torch.zeros(batch, ROTARY // 2), torch.zeros(batch, past),
                *[torch.zeros(batch, HEADS, past, SIZE) for _ in range(2 * LAYERS)]]

    def columns(self, sound: torch.Tensor, past: torch.Tensor, fast_past: torch.Tensor):
        """[B, n * TICK] -> [B, n * 18, WIDTH] after the first convolution's tanh."""
        sound = torch.cat([past, sound], 1)
        fast = F.conv1d(sound.unsqueeze(1), self.resample, stride=10).transpose(1, 2).flatten(1)
        fast = torch.cat([fast_past, fast], 1)
        return torch.tanh(self.conv1(fast.unsqueeze(1))).transpose(1, 2), sound[:, -(TAPS - 10):], fast[:, -63:]

    @staticmethod
    def windows(x: torch.Tensor, size: int, stride: int) -> torch.Tensor:
        """[B, T, C] -> [B, (T - size) / stride + 1, size * C]."""
        count = (x.shape[1] - size) // stride + 1
        return torch.cat([x[:, i: i + (count - 1) * stride + 1: stride] for i in range(size)], 2)

    def frames(self, columns: torch.Tensor, power: torch.Tensor, past2: torch.Tensor, past3: torch.Tensor):
        """Columns with the power [B, n * 18, 1] to divide them by -> [B, n * FRAMES, WIDTH] and what the next tick needs."""
        x = torch.cat([past2, columns * torch.rsqrt(power * SHARE) * self.gain + self.offset], 1)
        y = torch.cat([past3, F.gelu(self.conv2(self.windows(x, 7, 3)))], 1)
        return F.gelu(self.conv3(self.windows(y, 3, 2))), x[:, -4:], y[:, -1:]

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """Whole recordings [B, n * TICK] from a fresh state -> [B, n, FEATURES]: frames, log power of now and of the recent peak."""
        states = self.initial(len(sound))
        columns, _, _ = self.columns(sound, *states[:2])
        n = columns.shape[1] // 18
        now = columns.pow(2).unflatten(1, (n, 18)).mean((2, 3)).clamp(min=FLOOR)
        fade = torch.arange(n) * float(np.log(FORGET))
        peak = (torch.cummax(torch.log(now) - fade, 1).values + fade).clamp(min=float(np.log(FLOOR)))
        power = torch.exp(peak).repeat_interleave(18, 1).unsqueeze(2)
        x, _, _ = self.frames(columns, power, *states[3:5])
        cos, sin = positions(n * FRAMES)
        tick = torch.arange(n * FRAMES) // FRAMES
        age = tick.unsqueeze(1) - tick
        bias = torch.where((age >= 0) & (age <= WINDOW), 0.0, -1e4)
        for layer in self.layers:
            x = layer.close(x, self.look(*layer.heads(x, cos, sin), bias))
        return torch.cat([self.norm(x).unflatten(1, (n, FRAMES)).flatten(2), torch.stack([torch.log(now), peak], 2)], 2)

    @staticmethod
    def look(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor, bias: torch.Tensor) -> torch.Tensor:
        """What each frame sees, a window's length at a time: most of a long recording lies outside every window."""
        span, out = WINDOW * FRAMES, []
        for at in range(0, q.shape[2], span):
            end, begin = at + span, max(0, at - span)
            scores = q[:, :, at:end] @ k[:, :, begin:end].transpose(2, 3) + bias[at:end, begin:end]
            out.append(torch.softmax(scores, -1) @ v[:, :, begin:end])
        return torch.cat(out, 2)

    def tick(self, sound: torch.Tensor, states: list[torch.Tensor]):
        """One tick [B, TICK] -> [B, 1, FEATURES], new states; of a ring what is new. The order of its frames tells nothing: their keys are
        turned by their own time, so the past is read where it lies, and neither moved nor copied."""
        past, fast, peak, past2, past3, turn, there = states[:7]
        columns, past, fast = self.columns(sound, past, fast)
        now = columns.pow(2).mean((1, 2)).unsqueeze(1).clamp(min=FLOOR)
        peak = torch.maximum(peak * FORGET, now)
        x, past2, past3 = self.frames(columns, peak.unsqueeze(2), past2, past3)
        bias = ((there - 1) * 1e4).unsqueeze(1).unsqueeze(2)
        phase = turn + self.frame_turns
        cos, sin = torch.cos(phase), torch.sin(phase)
        turn = torch.remainder(turn + self.tick_turn, 2 * np.pi)  # only differences within the window matter
        keys = []
        for layer, k_past, v_past in zip(self.layers, states[7::2], states[8::2]):
            q, k, v = layer.heads(x, cos, sin)
            scores = torch.cat([q @ k_past.transpose(2, 3) + bias, q @ k.transpose(2, 3)], -1)
            before, own = torch.softmax(scores, -1).split([WINDOW * FRAMES, FRAMES], -1)
            x = layer.close(x, before @ v_past + own @ v)
            keys += [k, v]
        features = torch.cat([self.norm(x).flatten(1), torch.log(torch.cat([now, peak], 1))], 1)
        return features.unsqueeze(1), [past, fast, peak, past2, past3, turn, torch.ones(len(sound), FRAMES) + 0 * now, *keys]


class Original(nn.Module):
    """The encoder that hears the whole utterance: what teaches the listener, and what its weights are checked by."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.w = listener

    def encode(self, columns: torch.Tensor, there: torch.Tensor | None = None) -> torch.Tensor:
        """Columns [B, T, WIDTH] of the first convolution, those that count [B, T] -> frames [B, T', WIDTH]."""
        return self.depths(columns, there)[-1]

    def depths(self, columns: torch.Tensor, there: torch.Tensor | None = None) -> list[torch.Tensor]:
        """As `encode`; what comes out of each layer, [B, T', WIDTH] each, and the frames."""
        w, (b, t, _) = self.w, columns.shape
        there = torch.ones(b, t) if there is None else there
        share = (there / there.sum(1, keepdim=True)).unsqueeze(2)
        mean = (columns * share).sum(1, keepdim=True).mean(2, keepdim=True)
        power = ((columns - mean) ** 2 * share).sum(1, keepdim=True).mean(2, keepdim=True)
        x = (columns - mean) * torch.rsqrt(power + 1e-5) * w.gain + w.offset
        x = F.gelu(w.conv3(Listener.windows(F.gelu(w.conv2(Listener.windows(x, 7, 3))), 3, 2)))
        cos, sin = positions(x.shape[1])
        bias, out = ((there[:, :x.shape[1] * 6:6] - 1) * 1e4).unsqueeze(1).unsqueeze(2), []
        for layer in w.layers:
            q, k, v = layer.heads(x, cos, sin)
            x = layer.close(x, torch.softmax(q @ k.transpose(2, 3) + bias, -1) @ v)
            out.append(x)
        return [*out, w.norm(x)]

    def columns(self, sound: torch.Tensor) -> torch.Tensor:
        """[B, samples] at 16 kHz -> columns of the first convolution, 250 a second."""
        return torch.tanh(self.w.conv1(sound.unsqueeze(1))).transpose(1, 2)

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        """[B, samples] at 16 kHz, frames of 24 ms."""
        return self.encode(self.columns(sound))

    def ticks(self, sound: torch.Tensor, ticks: torch.Tensor) -> torch.Tensor:
        """[B, n * TICK], the ticks of each row that count -> [B, n, FRAMES * WIDTH], frame by frame what the listener is to give."""
        states = self.w.initial(len(sound))
        columns, _, _ = self.w.columns(sound, *states[:2])
        n = columns.shape[1] // 18
        columns = torch.cat([torch.zeros(len(sound), 7, WIDTH), columns], 1)  # past of both convolutions
        there = (torch.arange(n * 18 + 7) < (ticks * 18 + 7).unsqueeze(1)).float()
        return self.encode(columns, there)[:, -n * FRAMES:].unflatten(1, (n, FRAMES)).flatten(2)


def load(wheel: Path) -> Listener:
    """The weights in `tiny-en/encoder_model.ort` of the wheel `moonshine_voice` 0.1.0."""
    import onnxruntime as ort
    import onnx
    import tempfile
    from onnx import numpy_helper
    with tempfile.TemporaryDirectory() as folder:
        with zipfile.ZipFile(wheel) as z:
            data = z.read("moonshine_voice/assets/tiny-en/encoder_model.ort")
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        options.optimized_model_filepath = f"{folder}/encoder.onnx"
        options.log_severity_level = 3
        options.add_session_config_entry("session.save_model_format", "ONNX")
        ort.InferenceSession(data, options, providers=["CPUExecutionProvider"])
        graph = onnx.load(f"{folder}/encoder.onnx").graph
    values = {w.name: numpy_helper.to_array(w) for w in graph.initializer}

    def matrix(prefix: str) -> torch.Tensor:
        """The int8 matrix of the product whose output begins with `prefix`, as floats [out, in]."""
        node = next(n for n in graph.node if n.output[0].startswith(prefix) and n.op_type in ("MatMulIntegerToFloat", "DynamicQuantizeMatMul"))
        integer = node.op_type == "MatMulIntegerToFloat"  # A, B, A scale, B scale, A zero, B zero; or A, B, B scale, B zero
        b, scale, zero = (node.input[i] for i in ((1, 3, 5) if integer else (1, 2, 3)))
        return torch.from_numpy(((values[b].astype(np.float32) - values[zero].astype(np.float32)) * values[scale]).T.copy())

    out = Listener()
    halves = [*range(0, ROTARY, 2), *range(1, ROTARY, 2), *range(ROTARY, SIZE)]  # it turns neighbours, we turn halves
    with torch.no_grad():
        def put(to: torch.Tensor, what: np.ndarray | torch.Tensor) -> None:
            to.copy_(torch.as_tensor(np.array(what)).reshape(to.shape))
        put(out.conv1.weight, values["conv1.weight_add_tensor"])
        put(out.gain, values["onnx::Mul_2080"])
        put(out.offset, values["onnx::Add_2081"])
        for conv, name in ((out.conv2, "conv2"), (out.conv3, "conv3")):
            put(conv.weight, values[f"{name}.weight_add_tensor"].transpose(0, 2, 1))
            put(conv.bias, values[f"{name}.bias"])
        for i, layer in enumerate(out.layers):
            put(layer.norm1.weight, values[f"layers.{i}.input_layernorm.weight"])
            put(layer.norm2.weight, values[f"layers.{i}.post_attention_layernorm.weight"])
            q, k, v = (matrix(f"/layers.{i}/self_attn/{name}_proj").unflatten(0, (HEADS, SIZE)) for name in "qkv")
            put(layer.qkv.weight, torch.cat([q[:, halves] * SIZE ** -0.5, k[:, halves], v]))
            put(layer.o.weight, matrix(f"/layers.{i}/self_attn/o_proj"))
            for own, name in ((layer.grow, "fc1"), (layer.shrink, "fc2")):
                put(own.weight, matrix(f"/layers.{i}/mlp/{name}"))
                put(own.bias, values[f"layers.{i}.mlp.{name}.bias"])
        put(out.norm.weight, values["layer_norm.weight"])
    return out
