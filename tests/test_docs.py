"""The Python of the README and the docs does what is said beside it."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from torch import Tensor

import audiomend
from audiomend.restorers.frame import prepare, run
from audiomend.restorers.memory import ArrayReader, ArraySink
from audiomend.restorers.options import Options

ROOT = Path(__file__).parents[1]
PAGE = ROOT / "docs" / "add-a-degradation.md"
RATE = 8000


def python_of(page: Path) -> list[str]:
    return re.findall(r"```python\n(.*?)```", page.read_text("utf-8"), re.DOTALL)


@pytest.fixture
def old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> np.ndarray:
    """A second and a half of a clipped tone in noise, in old.wav of the working folder."""
    x = 0.6 * np.sin(2 * np.pi * 440 * np.arange(round(1.5 * RATE)) / RATE)
    x += 0.01 * np.random.default_rng(0).standard_normal(len(x))
    x = x.clip(-0.4, 0.4).astype(np.float32)
    soundfile.write(tmp_path / "old.wav", x, RATE, "FLOAT")
    monkeypatch.chdir(tmp_path)
    return x


def test_the_readme_mends(old: np.ndarray) -> None:
    (code,) = python_of(ROOT / "README.md")
    names = {}
    exec(code, names)
    assert len(code.strip().split("\n")) == 7  # one of them empty
    assert "declip" in [one.stage.stage for one in names["report"].done]
    gap = slice(round(1.2 * RATE), round(1.45 * RATE))
    mended, written = names["mended"], soundfile.read("mended.wav")[0]
    assert (mended != old).mean() == pytest.approx((np.abs(old) > 0.39).mean(), abs=0.02)
    changed = (written != mended.astype(np.float32)).nonzero()[0]
    np.testing.assert_array_equal(changed, np.arange(gap.start, gap.stop))


def test_blocks_go_in_and_come_out(old: np.ndarray) -> None:
    (code,) = python_of(ROOT / "docs" / "how-it-works.md")
    exec(code, {})
    whole = audiomend.declip(old.astype(np.float64), RATE, clip_level=0.4, quality="fast")
    np.testing.assert_array_equal(soundfile.read("mended.wav")[0], whole.astype(np.float32))


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
    code = python_of(PAGE)[-1]
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
