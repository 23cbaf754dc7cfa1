"""The blend: its parts as they are by themselves, their weights, and what it gains on a piano."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomend.classical import social_sparsity, spade
from audiomend.classical.blend import BALANCED, BEST, FAST, HEAVY, HEAVY_BEST, Blend, blended
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden" / "declip_piano.npz"
CLIP = HardClip(torch.tensor([[-0.9], [-0.8]]), torch.tensor([[0.7], [torch.inf]]))


def tones(time: int = 600) -> torch.Tensor:
    place = torch.arange(time, dtype=torch.float32)
    first = (place * 0.31).sin() + 0.5 * (place * 0.83).sin()
    return torch.stack([first, (place * 0.52 + 1).sin() + 0.4 * (place * 1.13).sin()])


SETTINGS = {
    "fast": (FAST, (0, 1 / 3, 2 / 3), 90, 1),
    "balanced": (BALANCED, (0, 0.3, 0.7), 300, 1),
    "best": (BEST, (0.15, 0.25, 0.6), 300, 1),
    "heavy": (HEAVY, (0.3, 0.2, 0.5), 90, 2),
    "heavy best": (HEAVY_BEST, (0.3, 0.2, 0.5), 90, 4),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_the_weighted_mean_of_its_parts(name: str) -> None:
    settings, weights, steps, slower = SETTINGS[name]
    assert sum(weights) == pytest.approx(1)
    y = CLIP.forward(tones())
    mended = blended(y, CLIP, replace(settings, window=128))
    step, every = {1: (2, 2), 2: (1, 2), 4: (1, 4)}[slower]
    short = spade.a_spade(y, CLIP, replace(spade.DEFAULT, window=32, step=step, every=every))[0]
    long = spade.a_spade(y, CLIP, replace(spade.DEFAULT, window=128, step=8 // slower))[0]
    start = (short + long) / 2 if weights[0] else short
    descent = social_sparsity.WARM if steps == 90 else social_sparsity.WARM_FINE
    assert descent.thresholds * descent.steps == steps
    social = social_sparsity.ss_pew(y, CLIP, replace(descent, window=128, tolerance=0.0), start)[0]
    parts = torch.stack([long, short, CLIP.project(social, y)])
    expected = (torch.tensor(weights)[:, None, None] * parts).sum(0)
    torch.testing.assert_close(mended, expected, rtol=0, atol=1e-6)


def test_what_social_sparsity_leaves_inside_the_levels_is_put_on_them_before_the_mean() -> None:
    y = CLIP.forward(tones())
    coarse = replace(social_sparsity.WARM, first=5.0, last=5.0, thresholds=1, steps=1)
    mended = blended(y, CLIP, Blend(0.0, 0.5, 0.5, coarse, window=128))
    short = spade.a_spade(y, CLIP, replace(spade.DEFAULT, window=32, step=2))[0]
    torch.testing.assert_close(mended, (short + y) / 2, rtol=0, atol=1e-6)


def test_known_samples_stay_to_the_bit_and_clipped_ones_are_consistent() -> None:
    x = tones()
    y = CLIP.forward(x)
    mended = blended(y, CLIP, replace(BALANCED, window=128))
    clipped = y != x
    assert torch.equal(mended[~clipped & (y < 0.7) | (y > 0.7)], y[~clipped & (y < 0.7) | (y > 0.7)])
    torch.testing.assert_close(CLIP.forward(mended), y, rtol=0, atol=0)
    assert (mended - x)[clipped].norm() < 0.2 * (y - x)[clipped].norm()


def test_it_does_not_depend_on_the_level() -> None:
    y = CLIP.forward(tones())
    settings = replace(BALANCED, window=128)
    quiet = blended(y / 64, HardClip(CLIP.low / 64, CLIP.high / 64), settings)
    torch.testing.assert_close(quiet * 64, blended(y, CLIP, settings), rtol=0, atol=1e-5)


def test_on_a_piano_it_is_better_than_each_of_its_parts() -> None:
    golden = np.load(GOLDEN)
    level, x = float(golden["level"]), torch.from_numpy(golden["clean"]).float() / 32768
    y, clip = x.clamp(-level, level), HardClip(-level, level)
    errors = {name: (torch.from_numpy(golden[name]) - x).norm() for name in ("aspade_signal", "pew_signal")}
    assert (blended(y, clip) - x).norm() < 0.9 * min(errors.values())
