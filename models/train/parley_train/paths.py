"""Where things lie. Data and checkpoints stay outside git: PARLEY_WORK, by default models/train/work."""
import os
from pathlib import Path

TRAIN = Path(__file__).resolve().parent.parent
DOMAIN = TRAIN / "domain"
WORK = Path(os.environ.get("PARLEY_WORK", TRAIN / "work"))
BUNDLE = TRAIN.parent / "pico"


def work(*parts: str) -> Path:
    """A path in the work folder; its parent exists."""
    path = WORK.joinpath(*parts)
    path.parent.mkdir(parents=True, exist_ok=True)
    return path

PROSODY_FILE = TRAIN / "prosody.npy"
"""What the codes of pitch and loudness stand for, [256, 3]: in the repository, so that codes of one day are valid on another."""
