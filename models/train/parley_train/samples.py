"""Ten turns for a person to hear: `python -m parley_train.samples --kokoro TGZ`. Needs `dist/` and ffmpeg.

Held-out voices ask, the shipped bundle answers through `parley converse`; both are mixed into docs/samples/*.ogg, with a table of
what was said, heard, answered and done, whatever came out.
"""
from __future__ import annotations

import argparse
import json
import random
import subprocess
import wave
from pathlib import Path

import numpy as np

from .acoustics import TONES
from .heldout import Speakers, microphone, write_wav
from .paths import TRAIN, work
from .store import RATE

ROOT = TRAIN.parent.parent
FACTS = {"restroom": "left of the entrance", "elevator": "behind the reception", "muffin": "2 euros", "hours": "8 to 20"}
TURNS = [  # what, by whom, in which tone
    ("where is the restroom", "kokoro:bf_emma", None), ("what does a muffin cost", "kokoro:am_michael", None),
    ("what are your opening hours", "kokoro:af_sky", None), ("when do you close", "flite:awb", None),
    ("go to the elevator please", "kokoro:bf_isabella", None), ("turn left please", "kokoro:am_puck", None),
    ("how is your battery", "kokoro:bm_lewis", None), ("where is the restroom", "kokoro:bf_isabella", "whispered"),
    ("what does a muffin cost", "kokoro:af_sky", "childlike"), ("can you sing a song", "kokoro:am_michael", None),
]


def converse(sound: Path, folder: Path) -> tuple[Path, list[dict]]:
    """The reply's WAV and the events of one turn through the product's own command."""
    site, reply, events = folder / "site.toml", folder / "reply.wav", folder / "events.jsonl"
    facts = "".join(f'{k} = "{v}"\n' for k, v in FACTS.items())
    site.write_text(f"[facts]\n{facts}\n[readings]\nbattery = 64\n")
    subprocess.run(["node", ROOT / "dist/runtime/cli/main.js", "converse", "--in", sound, "--facts", site, "--out", reply,
                    "--events", events, "--pace", "fast"], cwd=ROOT, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    return reply, [json.loads(line) for line in events.read_text().splitlines()]


def read_wav(path: Path) -> np.ndarray:
    with wave.open(str(path)) as w:
        assert w.getframerate() == RATE and w.getnchannels() == 1
        return np.frombuffer(w.readframes(w.getnframes()), np.int16).astype(np.float32) / 32768


def row(name: str, text: str, tone: str | None, events: list[dict]) -> str:
    turns = [e for e in events if e["type"] == "turn"]
    heard, said = (" / ".join(filter(None, (t[k] or "" for t in turns))) or "–" for k in ("heard", "text"))
    calls = ", ".join(f"{c['name']}({', '.join(map(str, c['args'].values()))})" for t in turns for c in t["tools"]) or "–"
    first = f"{turns[0]['firstSoundMs']:.0f} ms" if turns and turns[0]["firstSoundMs"] is not None else "–"
    style = turns[0]["style"] or "–" if turns else "–"
    return f"| [{name}]({name}) | {text}{f' ({tone})' if tone else ''} | {heard} | {said} | {style} | {calls} | {first} |"


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--kokoro", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "samples")
    args = parser.parse_args()
    speakers, rows, folder = Speakers(args.kokoro), [], work("samples", "x").parent
    for old in args.out.glob("*.ogg"):
        old.unlink()
    for i, (text, voice, tone) in enumerate(TURNS, 1):
        rng = np.random.default_rng([31, i])
        sound = speakers.say(text, voice, random.Random(f"sample {i}"))
        sound = microphone(TONES[tone](sound, rng) if tone else sound, rng, -20 if tone == "whispered" else -6)
        sound = np.pad(sound, (0, 5 * RATE))
        write_wav(folder / "turn.wav", sound)
        reply, events = converse(folder / "turn.wav", folder)
        answer = read_wav(reply)
        n = min(len(sound), len(answer))
        end = min(n, int((max((e["at"] for e in events if e["type"] == "turn"), default=3000) / 1000 + 0.4) * RATE))
        write_wav(folder / "both.wav", (sound[:n] + answer[:n])[:end])
        name = f"{i:02d}-{text.replace(' ', '-')}{f'-{tone}' if tone else ''}.ogg"
        subprocess.run(["ffmpeg", "-y", "-loglevel", "error", "-i", folder / "both.wav", "-c:a", "libopus", "-b:a", "24k", args.out / name],
                       check=True, stdin=subprocess.DEVNULL)
        rows.append(row(name, text, tone, events))
        print(rows[-1], flush=True)
    facts = ", ".join(f"{k} = {v}" for k, v in FACTS.items())
    (args.out / "README.md").write_text("\n".join([
        "# Samples", "", "A person's turn (a voice that training never heard) and pico's reply, from the shipped bundle through `parley converse`, both in one",
        f"Opus file. Facts: {facts}; battery 64. Not chosen for beauty: made by `python -m parley_train.samples`, kept as they came.", "",
        "| file | said | pico heard | pico answered | style | call | after end of speech |", "|---|---|---|---|---|---|---|", *rows, ""]))


if __name__ == "__main__":
    main()
