"""The code of docs/add-a-degradation.md does what the page says."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from audiomend.restorers.frame import prepare, run
from audiomend.restorers.memory import ArrayReader, ArraySink
from audiomend.restorers.options import Options

PAGE = Path(__file__).parents[1] / "docs" / "add-a-degradation.md"


class Quantised:
    """Rounding to multiples of a step, as the page leaves it to the reader."""

    def __init__(self, step: float) -> None:
        self.step = step

    def forward(self, x: Tensor) -> Tensor:
        return self.step * (x / self.step).round()

    def project(self, x: Tensor, observation: Tensor) -> Tensor:
        return x.clamp(observation - 0.499 * self.step, observation + 0.499 * self.step)


def test_a_damage_of_ones_own_is_mended() -> None:
    rate, level = 8000, 0.2
    clean = level * np.sin(2 * np.pi * 220 * np.arange(4000) / rate)[None]
    damaged = 0.05 * np.round(clean / 0.05)
    code = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)[-1]
    assert 'quality="fast"' in code
    names = {
        "np": np,
        "dataclass": dataclass,
        "torch": torch,
        "Quantised": Quantised,
        "ArrayReader": ArrayReader,
        "ArraySink": ArraySink,
        "prepare": prepare,
        "run": run,
        "Options": Options,
        "damaged": damaged,
        "rate": rate,
        "level": level,
    }
    exec(code.replace('quality="fast"', 'model="wiener", steps=8'), names)
    mended = names["mended"]
    assert np.abs(mended - damaged).max() <= 0.025
    assert np.linalg.norm(mended - clean) < 0.8 * np.linalg.norm(damaged - clean)
