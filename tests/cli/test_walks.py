"""Samplers that are no list of stages, from the command line, with the shipped prior."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 22_050


@pytest.mark.parametrize(
    ("options", "steps"), [(("--sampler", "rk45"), 70), (("--sampler", "tds", "--steps", 12), 12)]
)
def test_a_gap_is_filled(
    cli: Callable, write: Callable, tmp_path: Path, options: tuple[object, ...], steps: int
) -> None:
    t = np.arange(RATE // 2) / RATE
    x = 0.2 * np.sin(2 * np.pi * 330 * t) + 0.1 * np.sin(2 * np.pi * 660 * t + 1)
    gap = (t >= 0.2) & (t < 0.22)
    source, out = write("in.wav", np.where(gap, 0, x), RATE), tmp_path / "out.wav"
    result = cli("inpaint", source, out, "--gap", "0.2-0.22", "--seed", 1, "--json", *options)
    assert result.code == 0, result.err
    assert result.json["settings"]["steps"] == steps
    before, after = soundfile.read(source)[0], soundfile.read(out)[0]
    assert (after[~gap] == before[~gap]).all()
    assert 0.1 < np.square(after[gap]).sum() / np.square(x[gap]).sum() < 2
