"""Where the stages that train compute: CUDA where there is one, else the CPU. PARLEY_DEVICE names another."""
from __future__ import annotations

import os

import numpy as np
import torch


def compute_here() -> torch.device:
    """New tensors are made there from now on, in this thread; what comes from numpy goes through `placed`."""
    device = torch.device(os.environ.get("PARLEY_DEVICE") or ("cuda" if torch.cuda.is_available() else "cpu"))
    torch.set_default_device(device)
    return device


def placed(values: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(values).to(torch.get_default_device())


def portable(state: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """A checkpoint that a machine without this device can read."""
    return {name: value.cpu() for name, value in state.items()}
