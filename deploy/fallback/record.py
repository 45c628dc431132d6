"""Makes out-of-service.wav anew with the project's target voice: PYTHONPATH=models/train python deploy/fallback/record.py
Needs what models/train/README.md lists, and sox. 16 kHz mono: every card plays it, and 150 kB are no burden."""
import subprocess
import tempfile
import wave
from pathlib import Path

import numpy as np
from parley_train.voices import Piper

TEXT = ("i am out of service at the moment", "please ask one of my human colleagues")

voice = Piper()
pause = np.zeros(22050 * 35 // 100, np.float32)
sound = np.concatenate([part for text in TEXT for part in (voice.say(text, speed=0.95).samples, pause)])
sound = np.clip(sound / np.abs(sound).max() * 0.7, -1, 1)
with tempfile.TemporaryDirectory() as folder:
    path = str(Path(folder) / "voice.wav")
    with wave.open(path, "wb") as out:
        out.setnchannels(1)
        out.setsampwidth(2)
        out.setframerate(22050)
        out.writeframes((sound * 32767).astype("<i2").tobytes())
    # -D: no dither, so that the same voice gives the same file.
    subprocess.run(["sox", "-D", path, "-r", "16000", str(Path(__file__).parent / "out-of-service.wav")], check=True)
