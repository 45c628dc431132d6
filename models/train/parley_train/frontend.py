"""What the ear is made of before anything is learned: log-mel (32 bands, 10 ms) and Google's speech embedding (96 values, 80 ms).

Both come from openWakeWord's ONNX files (embedding: Apache-2.0). They are rebuilt here as causal convolutions with their own
histories, so that one tick of sound (1,280 samples) gives one embedding at 1/10 of the windowed cost; `check()` holds the
result against the original. Two deliberate differences: power is floored at 1 (16-bit scale), so that digital silence looks
like a quiet room, and the 80 dB clip relative to the window's loudest band is left out, because it looks ahead.
"""
from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional as F

TICK = 1280
HISTORY = 352  # 512-sample window, 160-sample hop: what eight frames need from before the tick
BANDS = 32
EMBED = 96
FEATURES = EMBED + 8 * BANDS


class Mel(nn.Module):
    """[B, samples] in [-1, 1] with HISTORY samples of past in front -> [B, frames, 32]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("real", torch.zeros(257, 1, 512))
        self.register_buffer("imag", torch.zeros(257, 1, 512))
        self.register_buffer("bands", torch.zeros(257, BANDS))

    def forward(self, sound: torch.Tensor) -> torch.Tensor:
        x = sound.unsqueeze(1) * 32768.0
        power = F.conv1d(x, self.real, stride=160) ** 2 + F.conv1d(x, self.imag, stride=160) ** 2
        mel = torch.clamp(power.transpose(1, 2) @ self.bands, min=1.0)
        return torch.log(mel) * (1.0 / 2.302585093) + 2.0


class Embedding(nn.Module):
    """Mel frames [B, T, 32], T a multiple of 8 -> [B, T/8, 96]. Each 3-in-time convolution keeps two columns of history."""

    PLAN = ["3x3", "1x3", "3x1", "pool22", "1x3", "3x1", "1x3", "3x1", "pool12", "1x3", "3x1", "1x3", "3x1", "pool22",
            "1x3", "3x1", "1x3", "3x1", "pool12", "1x3", "3x1", "1x3", "3x1", "pool22", "3x1"]

    def __init__(self) -> None:
        super().__init__()
        channels, self.widths, layers, width, last = [24] * 3 + [48] * 4 + [72] * 4 + [96] * 9, [], [], BANDS, 1
        for i, c in enumerate(channels):
            kernel = self.convs()[i]
            size = {"3x3": (3, 3), "1x3": (1, 3), "3x1": (3, 1)}[kernel]
            layers.append(nn.Conv2d(last, c, size, padding=(0, 1 if size[1] == 3 else 0), bias=i < 19))
            last = c
        self.layers = nn.ModuleList(layers)
        i = 0
        for step in self.PLAN:
            if step.startswith("pool"):
                width //= int(step[5])
                continue
            if step[0] == "3":
                self.widths.append((self.layers[i].in_channels, width))
            i += 1

    @classmethod
    def convs(cls) -> list[str]:
        return [s for s in cls.PLAN if not s.startswith("pool")]

    def initial(self, batch: int) -> list[torch.Tensor]:
        return [torch.zeros(batch, c, 2, w) for c, w in self.widths]

    def forward(self, mel: torch.Tensor, histories: list[torch.Tensor]) -> tuple[torch.Tensor, list[torch.Tensor]]:
        x, i, h, new = mel.unsqueeze(1), 0, 0, []
        for step in self.PLAN:
            if step.startswith("pool"):
                size = (int(step[4]), int(step[5]))
                x = F.max_pool2d(x, size, size)
                continue
            if step[0] == "3":
                x = torch.cat([histories[h], x], 2)
                new.append(x[:, :, -2:])
                h += 1
            x = self.layers[i](x)
            i += 1
            if i < len(self.layers):
                x = torch.maximum(F.leaky_relu(x, 0.2), torch.tensor(-0.4))
        return x.squeeze(3).transpose(1, 2), new


class FrontEnd(nn.Module):
    """One or more ticks of sound -> FEATURES a tick: embedding, then eight mel frames, both scaled to about unit size."""

    def __init__(self) -> None:
        super().__init__()
        self.mel, self.embedding = Mel(), Embedding()
        for p in self.parameters():
            p.requires_grad_(False)

    def forward(self, sound: torch.Tensor, past: torch.Tensor, histories: list[torch.Tensor]):
        """sound [B, n·1280], past [B, 352] -> features [B, n, 352], new past, new histories."""
        whole = torch.cat([past, sound], 1)
        mel = self.mel(whole)
        embedding, new = self.embedding(mel, histories)
        n = embedding.shape[1]
        frames = (mel.reshape(mel.shape[0], n, 8 * BANDS) - 6.0) * 0.4
        return torch.cat([embedding * 0.05, frames], 2), whole[:, -HISTORY:], new

    def whole(self, sound: np.ndarray) -> np.ndarray:
        """A whole recording from fresh histories -> [ticks, FEATURES]; the sound is padded to full ticks."""
        n = -(-len(sound) // TICK)
        padded = torch.zeros(1, n * TICK)
        padded[0, : len(sound)] = torch.from_numpy(sound)
        with torch.no_grad():
            features, _, _ = self(padded, torch.zeros(1, HISTORY), self.embedding.initial(1))
        return features[0].numpy()


def load(folder: Path) -> FrontEnd:
    """The front end with the weights of `melspectrogram.onnx` and `embedding_model.onnx` in `folder`."""
    import onnx
    from onnx import numpy_helper
    ear = FrontEnd()
    mel = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in onnx.load(str(folder / "melspectrogram.onnx")).graph.initializer}
    ear.mel.real.copy_(mel["0.stft.conv_real.weight"])
    ear.mel.imag.copy_(mel["0.stft.conv_imag.weight"])
    ear.mel.bands.copy_(mel["1.melW"])
    model = onnx.load(str(folder / "embedding_model.onnx")).graph
    weights = {w.name: torch.from_numpy(numpy_helper.to_array(w).copy()) for w in model.initializer}
    convs = [n for n in model.node if n.op_type == "Conv"]
    for layer, node in zip(ear.embedding.layers, convs, strict=True):
        layer.weight.data.copy_(weights[node.input[1]])
        if len(node.input) > 2:
            layer.bias.data.copy_(weights[node.input[2]])
    return ear.eval()


def check(folder: Path) -> float:
    """Largest difference between our streaming embedding and the original's last window, on noise."""
    import onnxruntime as ort
    ear = load(folder)
    mel = torch.randn(1, 160, BANDS) * 2 + 5
    with torch.no_grad():
        ours, histories = [], ear.embedding.initial(1)
        for i in range(0, 160, 8):
            out, histories = ear.embedding(mel[:, i:i + 8], histories)
            ours.append(out)
    session = ort.InferenceSession(str(folder / "embedding_model.onnx"), providers=["CPUExecutionProvider"])
    last = session.run(None, {"input_1": mel[:, -76:].unsqueeze(3).numpy()})[0].reshape(96)
    return float(np.abs(ours[-1][0, 0].numpy() - last).max())
