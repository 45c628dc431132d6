"""The step graph: everything of one tick in one run. Names and shapes as in models/README.md."""
from __future__ import annotations

import torch
from torch import nn

from .codec import BOOKS, CODES, Codec, Speech
from .model import DECAYS, Pico, rotate
from .moonshine import LAYERS, TICK, Listener

FACTS, STREAM = 512, 768
SLOTS = FACTS + STREAM
LISTENER = ["sound", "fast", "peak", "columns", "half", "turn", "there", *[f"{x}{i}" for i in range(LAYERS) for x in ("key", "value")]]


class Hears(nn.Module):
    """The listener's tick as a call, so that its nodes have a name of their own and the network's keep theirs: `resume` finds weights by them."""

    def __init__(self, listener: Listener) -> None:
        super().__init__()
        self.listener = listener

    def forward(self, audio: torch.Tensor, past: list[torch.Tensor]):
        return self.listener.tick(audio, past)


def chosen(logits: torch.Tensor) -> torch.Tensor:
    """Logits [1, V] -> token [1, 1]: the likeliest word where all words together are likelier than nothing (token 0), so that a
    reply that can begin in many ways is not held back by their number."""
    nothing, words = logits[:, :1], logits[:, 1:]
    some = torch.logsumexp(words, 1, keepdim=True) > nothing
    return (torch.argmax(words, -1, keepdim=True) + 1) * some.long()


class Step(nn.Module):
    def __init__(self, model: Pico, codec: Codec, listener: Listener) -> None:
        super().__init__()
        self.model, self.hears, self.speech = model, Hears(listener), Speech(codec)
        select = torch.zeros(2, SLOTS)
        select[0, FACTS:], select[1, :FACTS] = 1, 1
        self.register_buffer("select", select, persistent=False)
        self.register_buffer("fade", torch.tensor(DECAYS).view(1, -1, 1), persistent=False)

    def state_names(self) -> dict[str, tuple[torch.Tensor, str]]:
        """Name -> (initial value, reset scope)."""
        trace = torch.zeros(1, len(DECAYS), self.model.size.width)
        out = {"trace": (trace, "session"), "fact_trace": (trace, "fact")}
        for name, s in zip(LISTENER, self.hears.listener.initial(1), strict=True):
            out[f"listener_{name}"] = (s, "session")
        for i, s in enumerate(self.model.ear.initial(1)):
            out[f"ear_block{i}"] = (s, "session")
        for i, s in enumerate(self.speech.initial()):
            out[f"voice{i}"] = (s, "turn")
        return out

    def input_names(self) -> list[str]:
        n = self.model.size.layers
        return (["audio", "text_in", "text_prev", "heard_prev", "codes_prev", "live", "rope_stream", "rope_facts", "mask", "text_mask", "noise"]
                + [f"k{i}" for i in range(n)] + [f"v{i}" for i in range(n)] + list(self.state_names()))

    def output_names(self) -> list[str]:
        return ["text", "heard", "codes", "speech", "k_new", "v_new"] + [f"{s}_new" for s in self.state_names()]

    def example(self) -> list[torch.Tensor]:
        s = self.model.size
        e = s.width // s.heads
        one = torch.zeros(1, 1, dtype=torch.long)
        return ([torch.zeros(1, TICK), one, one, one, torch.tensor([[CODES] + [0] * (BOOKS - 1)]), torch.ones(1, 1), torch.zeros(2, e // 2),
                 torch.zeros(2, e // 2), torch.zeros(1, SLOTS), torch.zeros(1, s.vocabulary), torch.zeros(BOOKS, CODES)]
                + [torch.zeros(1, s.heads, e, SLOTS) for _ in range(s.layers)] + [torch.zeros(1, s.heads, SLOTS, e) for _ in range(s.layers)]
                + [v for v, _ in self.state_names().values()])

    def attend(self, layer, x, k_cache, v_cache, stream, facts, mask):
        """One row against the ring: its scores towards facts and stream use their own rotary positions."""
        q, k, v = layer.split(x)
        k = rotate(k, stream[0], stream[1])
        own = rotate(q, stream[0], stream[1])
        # Two products of one row: ONNX Runtime reads the ring as it lies for them, and packs it anew for one of two rows.
        past = ((own @ k_cache) * self.select[:1] + (rotate(q, facts[0], facts[1]) @ k_cache) * self.select[1:]) * layer.size ** -0.5 + mask
        self_score = (own * k).sum(3, keepdim=True) * layer.size ** -0.5
        weights = torch.softmax(torch.cat([past, self_score], 3), 3)
        y = weights[..., :SLOTS] @ v_cache + weights[..., SLOTS:] * v
        x = x + layer.out(y.transpose(1, 2).flatten(2))
        return x + layer.feed(x), k[:, :, 0], v[:, :, 0]

    def forward(self, audio, text_in, text_prev, heard_prev, codes_prev, live, rope_stream, rope_facts, mask, text_mask, noise, *rest):
        m, n = self.model, self.model.size.layers
        keys, values, states = rest[:n], rest[n:2 * n], list(rest[2 * n:])
        (trace, fact_trace), states = states[:2], states[2:]
        heard_past, states = states[:len(LISTENER)], states[len(LISTENER):]
        blocks, voice = states[:len(m.ear.blocks)], states[len(m.ear.blocks):]
        features, heard_past = self.hears(audio, heard_past)
        sound, blocks = m.ear(features, blocks)
        speaking = (codes_prev[:, :1] < CODES).float()
        told = m.table(m.from_channel, text_in)
        said = m.table(m.from_text, text_prev) + m.table(m.from_heard, heard_prev) + told
        trace = trace * self.fade + said
        fact_trace = fact_trace * self.fade + told
        stream = said + sound + m.voice(torch.clamp(codes_prev, max=CODES - 1).unsqueeze(1), speaking)
        on = live.unsqueeze(2)
        x = stream * on + told * (1 - on) + m.recall((trace * on + fact_trace * (1 - on)).unsqueeze(1))
        k_new, v_new = [], []
        for layer, k, v in zip(m.layers, keys, values):
            x, a, b = self.attend(layer, x, k, v, rope_stream, rope_facts, mask)
            k_new.append(a)
            v_new.append(b)
        h = m.norm(x)[:, 0]
        text = chosen(m.text_logits(h) + text_mask)
        heard = torch.argmax(m.heard_logits(h), -1, keepdim=True)
        codes = m.depth.choose(h, noise)
        speaks = (m.speaks(h) > 0).long()
        latent = self.speech.books(codes.unsqueeze(1))
        sound_out, voice = self.speech(latent, voice)
        quiet = torch.tensor([[CODES] + [0] * (BOOKS - 1)])
        codes = codes * speaks + quiet * (1 - speaks)
        return (text, heard, codes, sound_out, torch.cat(k_new), torch.cat(v_new), trace, fact_trace, *heard_past, *blocks, *voice)
