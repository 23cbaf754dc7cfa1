"""The blend: its parts as they are by themselves, their weights, and what it gains on a piano."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from audiomend.classical import blend, social_sparsity, spade
from audiomend.classical.blend import (
    BALANCED,
    BEST,
    FAST,
    HEAVY,
    HEAVY_BEST,
    HEAVY_FAST,
    Blend,
    blended,
    density,
)
from audiomend.classical.social_sparsity import ss_pew
from audiomend.classical.spade import a_spade
from audiomend.classical.thresholding import FINISH, SOFT, USUAL, Thresholding, thresholded
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden" / "declip_piano.npz"
CLIP = HardClip(torch.tensor([[-0.9], [-0.8]]), torch.tensor([[0.7], [torch.inf]]))


def tones(time: int = 600) -> torch.Tensor:
    place = torch.arange(time, dtype=torch.float32)
    first = (place * 0.31).sin() + 0.5 * (place * 0.83).sin()
    return torch.stack([first, (place * 0.52 + 1).sin() + 0.4 * (place * 1.13).sin()])


SETTINGS = {  # weights of hard thresholds in frames of 32 and 128, of shrinkage in these and of the finish
    "fast": (FAST, (0.22, 0.08, 0.18, 0, 0.52), 100, 60),
    "balanced": (BALANCED, (0.22, 0.08, 0.18, 0, 0.52), 200, 90),
    "best": (BEST, (0.22, 0.08, 0.18, 0, 0.52), 600, 180),
    "heavy fast": (HEAVY_FAST, (0.1, 0.2, 0, 0.27, 0.43), 200, 60),
    "heavy": (HEAVY, (0.1, 0.2, 0, 0.27, 0.43), 400, 90),
    "heavy best": (HEAVY_BEST, (0.1, 0.2, 0, 0.27, 0.43), 1200, 90),
}


@pytest.mark.parametrize("name", SETTINGS)
def test_it_is_the_weighted_mean_of_its_parts(name: str) -> None:
    settings, weights, steps, finish_steps = SETTINGS[name]
    assert (settings.window, settings.rate, settings.rms) == (8192, 44_100, 0.15)
    assert (settings.steps, settings.finish_steps) == (steps, finish_steps)
    assert sum(weights) == pytest.approx(1)
    assert settings.start == replace(SOFT, steps=1200 if name in ("heavy", "heavy best") else 600)
    thresholds = 1500 if "best" in name else 500
    assert settings.sweep == replace(social_sparsity.DEFAULT, thresholds=thresholds, start=None)
    assert settings.long == (() if "fast" in name else (0.5, 1, 2) if "best" in name else (0.5, 2))
    few = replace(settings, window=128, rate=800.0, steps=steps // 10, finish_steps=finish_steps // 10)
    step, growth, tolerance = (1, 1 / 64, 1.0) if "heavy" in name else (4, 0, 0.2)
    growth = 0 if name == "heavy best" else growth
    quick = replace(spade.DEFAULT, redundancy=1, step=step, growth=growth, tolerance=tolerance)
    assert settings.spade == quick
    assert settings.short == ((4,) if "fast" in name else (4, 2))
    few = replace(few, long=(), short=())
    y = CLIP.forward(tones())

    def at(kind: Thresholding, window: int, steps: int = few.steps) -> Thresholding:
        return replace(kind, window=window, rate=800.0, steps=steps)

    first = [thresholded(y, CLIP, at(kind, window)) for kind in (USUAL, SOFT) for window in (32, 128)]
    start = torch.stack([part for part, weight in zip(first, weights, strict=False) if weight]).mean(0)
    finish = thresholded(y, CLIP, at(FINISH, 128, few.finish_steps), start)
    expected = (torch.tensor(weights)[:, None, None] * torch.stack([*first, finish])).sum(0)
    torch.testing.assert_close(blended(y, CLIP, few), expected, rtol=0, atol=1e-6)


def test_density_is_the_share_of_equal_bins() -> None:
    x = torch.zeros(2, 16384)
    x[0, 6000] = 1.0  # a click fills all bins alike
    x[1] = (torch.arange(16384) * (torch.pi / 4)).sin()  # a partial, three of 65 in a Hann window
    click, partial = density(x, 128)
    assert float(click) == pytest.approx(1, abs=1e-5)
    assert float(partial) == pytest.approx((0.5 + 1 + 0.5) ** 2 / (65 * 1.5), rel=0.03)
    assert density(torch.zeros(100), 128) == 0
    loud = torch.stack([x[0] + 100 * x[1], 100 * x[0] + x[1] / 100])
    assert float(density(loud, 128)[0]) < 0.1
    assert float(density(loud, 128)[1]) > 0.9


def test_social_sparsity_weighs_less_the_more_its_spectra_are_blurred_and_more_for_sparse_ones() -> None:
    of_mean, of_swept, of_clipped, known = torch.tensor(
        [
            [0.05, 0.05, 0.4, 0.5],  # alike
            [0.05, 0.06, 0.4, 0.5],  # as much denser as is 0.0877 of what clipping does
            [0.05, 0.04, 0.4, 0.5],
            [0.02, 0.022, 0.4, 0.3],  # sparse: 0.3 * 0.3 * ln 1.75 more
            [0.05, 0.051, 0.05, 0.9],  # clipping hardly spreads: ln 1.02 / 0.05
            [0.05, 0.2, 0.4, 0.5],
            [0.002, 0.002, 0.4, 0.9],
            [0.0, 0.0, 0.0, 0.5],  # silence
        ]
    ).unbind(1)
    expected = torch.tensor([0.65, 0.5185, 0.811, 0.6526, 0.0559, 0, 1, 1])
    got = blend._weight_of_sweep(of_mean, of_swept, of_clipped, known)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_social_sparsity_has_its_weight_in_the_mean() -> None:
    y = CLIP.forward(tones())
    begun, sweep = replace(SOFT, steps=10), replace(social_sparsity.DEFAULT, thresholds=20)
    settings = Blend(
        ((4, 0.5),),
        ((4, 0.3),),
        0.2,
        steps=20,
        finish_steps=20,
        start=begun,
        sweep=sweep,
        window=128,
        rate=800.0,
    )
    mean = blended(y, CLIP, settings)
    start = thresholded(y, CLIP, replace(begun, window=128, rate=800.0))
    kinds = [replace(sweep, window=window) for window in (64, 128)]
    swept = torch.stack([CLIP.project(ss_pew(y, CLIP, kind, start)[0], y) for kind in kinds]).mean(0)
    known = ((y > CLIP.low) & (y < CLIP.high)).float().mean(-1)
    weight = blend._weight_of_sweep(density(mean, 32), density(swept, 32), density(y, 32), known)
    assert (weight > 0.1).any()
    got = blended(y, CLIP, replace(settings, long=(0.5, 1)))
    torch.testing.assert_close(got, torch.lerp(mean, swept, weight[:, None]), rtol=0, atol=2e-5)
    assert (got - mean).norm() > 1e-3


def test_a_spade_weighs_more_where_partials_move_spectra_are_dense_and_much_is_clipped() -> None:
    moving, brief, known = torch.tensor(
        [
            [0.0, 0.05, 0.9],  # 1 + 0.25 ln 0.05 + 0.06
            [0.2, 0.05, 0.9],
            [0.0, 0.1, 0.9],
            [0.0, 0.05, 0.2],
            [-0.3, 0.05, 0.9],  # 0.086 is left out
            [-0.28, 0.05, 0.9],
            [0.5, 0.2, 0.0],
            [0.0, 0.0, 1.0],  # silence
        ]
    ).unbind(1)
    expected = torch.tensor([0.3111, 0.4611, 0.4844, 0.7311, 0, 0.1011, 1, 0])
    got = blend._weight_of_spade(moving, brief, known)
    torch.testing.assert_close(got, expected, rtol=0, atol=1e-4)


def test_what_moves_is_left_to_a_spade_in_short_frames(monkeypatch: pytest.MonkeyPatch) -> None:
    place = torch.arange(4000, dtype=torch.float32)
    glide = (0.02 * place + 3e-4 * place**2).sin()
    y = CLIP.forward(torch.stack([glide, (place * 0.31).sin()]))
    few = Blend(((4, 0.5),), ((4, 0.3),), 0.2, steps=20, finish_steps=20, window=512)
    long, brief = (density(blended(y, CLIP, few), window) for window in (512, 128))
    moving = (long / brief).log()
    known = ((y > CLIP.low) & (y < CLIP.high)).float().mean(-1)
    weight = blend._weight_of_spade(moving, brief, known)
    assert moving[0] > 0.2
    assert moving[1] < -0.2
    assert weight[0] > blend.ENOUGH
    assert weight[1] == 0
    kinds = [replace(blend.QUICK, window=window) for window in (128, 256)]
    short = torch.stack([a_spade(y, CLIP, kind)[0] for kind in kinds]).mean(0)
    sweep = replace(social_sparsity.DEFAULT, thresholds=20)
    both = replace(few, sweep=sweep, long=(1,))
    plain, swept, got = (blended(y, CLIP, each) for each in (few, both, replace(both, short=(4, 2))))
    torch.testing.assert_close(got[0], torch.lerp(plain[0], short[0], weight[0]), rtol=0, atol=2e-5)
    torch.testing.assert_close(got[1], swept[1], rtol=0, atol=2e-5)
    assert (got[0] - swept[0]).norm() > 1e-2
    assert (swept[0] - plain[0]).norm() > 1e-3
    monkeypatch.setattr(blend, "ENOUGH", float(weight[0]) + 0.01)
    got = blended(y, CLIP, replace(both, short=(4, 2)))
    torch.testing.assert_close(got[0], torch.lerp(swept[0], short[0], weight[0]), rtol=0, atol=2e-5)


def test_known_samples_stay_to_the_bit_and_clipped_ones_are_consistent() -> None:
    x = tones()
    y = CLIP.forward(x)
    mended = blended(y, CLIP, replace(BALANCED, window=128))
    clipped = y != x
    assert torch.equal(mended[~clipped & (y < 0.7) | (y > 0.7)], y[~clipped & (y < 0.7) | (y > 0.7)])
    torch.testing.assert_close(CLIP.forward(mended), y, rtol=0, atol=0)
    assert (mended - x)[clipped].norm() < 0.2 * (y - x)[clipped].norm()


def test_it_does_not_depend_on_the_level_unless_that_is_left() -> None:
    y = CLIP.forward(tones())
    settings = Blend(((4, 0.5),), ((4, 0.2),), 0.3, steps=20, finish_steps=20, window=128)
    quiet = blended(y / 64, HardClip(CLIP.low / 64, CLIP.high / 64), settings)
    torch.testing.assert_close(quiet * 64, blended(y, CLIP, settings), rtol=0, atol=1e-5)
    assert (blended(y, CLIP, replace(settings, rms=None)) - blended(y, CLIP, settings)).norm() > 1e-2


def test_on_a_piano_it_is_better_than_published_methods() -> None:
    golden = np.load(GOLDEN)
    level, x = float(golden["level"]), torch.from_numpy(golden["clean"]).float() / 32768
    y, clip = x.clamp(-level, level), HardClip(-level, level)
    errors = {name: (torch.from_numpy(golden[name]) - x).norm() for name in ("aspade_signal", "pew_signal")}
    assert (blended(y, clip) - x).norm() < min(errors.values())
    assert (blended(y, clip, FAST) - x).norm() < errors["aspade_signal"]
