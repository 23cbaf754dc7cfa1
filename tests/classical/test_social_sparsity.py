"""Social sparsity: its transform, its shrinkage, and the descent against a plain form of the algorithm."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Literal

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical import tiles
from audiomend.classical.parallel import side_by_side, slices
from audiomend.classical.shrinkage import ALONE, local_sum, misfit, reach
from audiomend.classical.social_sparsity import (
    DEFAULT,
    HEAVY,
    PUBLISHED,
    Coefficients,
    SocialSparsity,
    ss_ew,
    ss_pew,
)
from audiomend.classical.thresholding import SOFT, thresholded
from audiomend.classical.tiles import TILE_BYTES
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = SocialSparsity(window=64, thresholds=4, steps=12, tolerance=0.02)
AROUND = SMALL.around
FRAMES = pytest.mark.parametrize(("overlaps", "redundancy"), [(4, 2), (4, 1), (2, 1)])
FORMS = pytest.mark.parametrize("form", [ss_ew, ss_pew])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tones(time: int, seed: int = 0) -> Tensor:
    places = torch.arange(time, dtype=torch.float64)
    return (places * 0.31 + seed).sin() + 0.5 * (places * 0.83).sin() + 0.02 * noise(time, seed=seed)


@pytest.fixture
def plain(benchmark_file: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_file("plain_declip")


def first_step(
    x: Tensor, around: tuple[int, int], threshold: float, redundancy: int = 2, overlaps: Literal[2, 4] = 4
) -> Tensor:
    settings = replace(SMALL, redundancy=redundancy, overlaps=overlaps)
    with side_by_side() as run:
        return Coefficients(len(x), settings, around, x).step(x, 0.0, threshold, run)


@FRAMES
def test_the_transform_is_tight(redundancy: int, overlaps: Literal[2, 4], plain: ModuleType) -> None:
    x, frame = noise(512), plain.Frame(512, 64, overlaps, redundancy)
    torch.testing.assert_close(first_step(x, ALONE, 1e-9, redundancy, overlaps), x)
    np.testing.assert_allclose(frame.synthesis(frame.analysis(x.numpy())), x, rtol=0, atol=1e-12)


@pytest.mark.parametrize("tile_bytes", [TILE_BYTES, 8000, 1])
@pytest.mark.parametrize("around", [ALONE, AROUND, (3, 5), (5, 1), (1, 3)])
def test_a_step_shrinks_by_what_is_around_whatever_the_tiles(
    around: tuple[int, int], tile_bytes: int, monkeypatch: pytest.MonkeyPatch, plain: ModuleType
) -> None:
    monkeypatch.setattr(tiles, "TILE_BYTES", tile_bytes)
    x, frame = noise(512), plain.Frame(512, 64)
    expected = plain.shrunk(frame.analysis(x.numpy()), 0.35, around)
    assert 0.05 < (expected == 0).mean() < 0.9
    torch.testing.assert_close(first_step(x, around, 0.35), torch.from_numpy(frame.synthesis(expected)))
    assert not first_step(torch.zeros(512), around, 0.1).any()


@pytest.mark.parametrize(("count", "most", "sizes"), [(36, 16, [12] * 3), (5, 4, [3, 2]), (2, 0, [1, 1])])
def test_slices_are_about_equal(count: int, most: int, sizes: list[int]) -> None:
    parts = slices(count, most)
    assert [part.stop - part.start for part in parts] == sizes
    assert [place for part in parts for place in range(part.start, part.stop)] == list(range(count))


def test_the_local_sum_mirrors_its_edges() -> None:
    x = torch.tensor([[1.0, 2, 4, 8]])
    assert torch.equal(local_sum(x, 3, 1), torch.tensor([[4.0, 7, 14, 20]]))
    assert torch.equal(local_sum(x.T, 7, 0), torch.tensor([[22.0, 26, 28, 29]]).T)
    wide = noise(2, 20)
    for size in (11, 15):
        inner = wide.unfold(1, size, 1).sum(-1)
        torch.testing.assert_close(local_sum(wide, size, 1)[:, size // 2 : -(size // 2)], inner)


def test_a_clipped_sample_is_fine_beyond_its_level_whatever_its_sign() -> None:
    y = torch.tensor([0.2, 0.5, 0.5, 0.5, -0.4, -0.4, -0.4])
    x = torch.tensor([0.7, 0.6, 0.1, -0.6, -0.3, -0.7, 0.45])
    expected = torch.tensor([-0.5, 0, 0.4, 0, -0.1, 0, 0])
    level = reach(y, torch.tensor(-0.4), torch.tensor(0.5))
    torch.testing.assert_close(misfit(x, y, level), expected)


@FRAMES
@pytest.mark.parametrize(("form", "around"), [(ss_ew, ALONE), (ss_pew, (3, 5))])
def test_the_descent_is_the_plain_form(
    form, around: tuple[int, int], redundancy: int, overlaps: int, plain: ModuleType
) -> None:
    y = tones(300).clamp(-0.9, 0.7)
    settings = replace(SMALL, redundancy=redundancy, overlaps=overlaps, around=(3, 5))
    signal, steps = form(y, HardClip(-0.9, 0.7), settings)
    expected, counts = plain.social_sparsity(y.numpy(), -0.9, 0.7, settings, around)
    assert steps.tolist() == counts
    assert len(set(counts)) > 2
    torch.testing.assert_close(signal, torch.from_numpy(expected), rtol=0, atol=1e-10)


@pytest.mark.parametrize(("form", "around"), [(ss_ew, ALONE), (ss_pew, AROUND)])
def test_the_descent_goes_on_from_its_start(form, around: tuple[int, int], plain: ModuleType) -> None:
    y, clip = tones(300).clamp(-0.9, 0.7), HardClip(-0.9, 0.7)
    settings = replace(SMALL, thresholds=30, steps=1, tolerance=0.0, anew=False, most_momentum=0.7)
    settings, kind = (
        replace(settings, start=replace(SOFT, steps=5)),
        replace(SOFT, window=64, steps=5, rms=None),
    )
    start = thresholded(y, clip, kind)
    signal, steps = form(y, clip, settings)
    assert steps.tolist() == [1] * 30
    expected, _ = plain.social_sparsity(y.numpy(), -0.9, 0.7, settings, around, start.numpy())
    torch.testing.assert_close(signal, torch.from_numpy(expected), rtol=0, atol=1e-10)
    until = replace(settings, thresholds=2, steps=5, tolerance=3.0)  # the first change is that of y
    _, steps = form(y, clip, until)
    assert steps.tolist() == plain.social_sparsity(y.numpy(), -0.9, 0.7, until, around, start.numpy())[1]
    assert steps[0] == 2


@FORMS
def test_threads_take_tiles_by_turns(form, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tiles, "TILE_BYTES", 8000)
    y, clip = tones(700).clamp(-0.9, 0.7), HardClip(-0.9, 0.7)
    alone, steps = form(y, clip, SMALL)
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    try:
        with torch.inference_mode():
            signal, counts = form(y, clip, SMALL)
        assert torch.get_num_threads() == 3
    finally:
        torch.set_num_threads(before)
    assert torch.equal(counts, steps)
    torch.testing.assert_close(signal, alone)


def test_the_end_is_kept_apart_from_the_beginning() -> None:
    y = tones(256).clamp(-0.9, 0.7)
    louder = torch.cat((y[:200], 3 * y[200:]))
    for apart, close in ((0, False), (1, True)):
        settings = replace(SMALL, apart=apart, steps=1, thresholds=1, tolerance=0.0)
        first, second = (ss_ew(x, HardClip(-9.0, 9.0), settings)[0][:8] for x in (y, louder))
        assert torch.allclose(first, second, rtol=0, atol=1e-6) is close


@FORMS
def test_a_batch_is_each_of_its_rows(form) -> None:
    x = torch.stack([tones(300), 3 * tones(300, 1)])[:, None].expand(2, 3, 300) * noise(1, 3, 1, seed=3)
    y, clip = x.clamp(-0.5, 0.5), HardClip(-0.5, 0.5)
    signal, steps = form(y, clip, SMALL)
    assert steps.shape == (2, 3, 4)
    for place in np.ndindex(2, 3):
        alone, counts = form(y[place], clip, SMALL)
        assert torch.equal(steps[place], counts)
        torch.testing.assert_close(signal[place], alone)


@FORMS
def test_peaks_come_back_and_the_rest_stays_near(form) -> None:
    x = torch.stack([tones(500), tones(500, 1)]).float()
    clip = HardClip(torch.tensor([[-0.8], [-1.0]]), torch.tensor([[0.7], [math.inf]]))
    y = clip.forward(x)
    signal, _ = form(y, clip, replace(DEFAULT, window=64))
    assert signal.dtype == torch.float32
    clipped = y != x
    assert (signal - x)[clipped].norm() < 0.3 * (y - x)[clipped].norm()
    assert (signal - x)[~clipped].abs().max() < 0.02


@FORMS
def test_the_default_does_not_depend_on_the_level(form) -> None:
    y, settings = tones(300).clamp(-1, 1), replace(DEFAULT, window=64)
    signal, steps = form(y, HardClip(-1, 1), settings)
    quiet, counts = form(y / 64, HardClip(-1 / 64, 1 / 64), settings)
    assert torch.equal(steps, counts)
    torch.testing.assert_close(quiet * 64, signal, rtol=0, atol=1e-6)
    silence, _ = form(torch.zeros(300), HardClip(-1, 1), settings)
    assert not silence.any()


def test_settings_are_those_of_the_survey_and_those_that_were_chosen() -> None:
    published = SocialSparsity(
        8192, 4, (7, 3), 2, 1e-1, 1e-4, 20, 500, 1e-4, True, 1.0, None, 0, None, torch.float64
    )
    assert published == PUBLISHED
    start = replace(SOFT, steps=600)
    lean = SocialSparsity(
        8192, 2, (3, 3), 1, 1e-2, 3e-5, 1000, 1, 0.0, False, 0.99, start, 1, 0.15, torch.float32
    )
    assert lean == DEFAULT
    assert replace(DEFAULT, start=replace(SOFT, steps=1200)) == HEAVY
    thresholds = [10 ** (-1 - 3 * i / 19) for i in range(20)]
    assert PUBLISHED.schedule().tolist() == pytest.approx(thresholds)
    wider = replace(PUBLISHED, redundancy=1).schedule()  # half as many coefficients for as much energy
    torch.testing.assert_close(wider, PUBLISHED.schedule() * math.sqrt(2))


@pytest.mark.parametrize(("form", "key", "thresholds"), [(ss_ew, "ew", 2), (ss_pew, "pew", 1)])
def test_the_first_thresholds_take_as_many_steps_as_by_the_published_code(
    form, key: str, thresholds: int
) -> None:
    golden = np.load(GOLDEN / "declip_piano.npz")
    level = float(golden["level"])
    y = (torch.from_numpy(golden["clean"]).double() / 32768).clamp(-level, level)
    last = float(PUBLISHED.schedule()[thresholds - 1])
    _, steps = form(y, HardClip(-level, level), replace(PUBLISHED, thresholds=thresholds, last=last))
    expected = golden[f"{key}_iterations"].tolist()[:thresholds]
    assert expected[-1] < PUBLISHED.steps
    assert steps.tolist() == expected


@pytest.mark.nightly
@pytest.mark.parametrize(("form", "key", "close"), [(ss_ew, "ew", 1e-6), (ss_pew, "pew", None)])
def test_the_published_code_descends_to_the_same_signal(form, key: str, close: float | None) -> None:
    golden = np.load(GOLDEN / "declip_piano.npz")
    level = float(golden["level"])
    x = torch.from_numpy(golden["clean"]).double() / 32768
    signal, steps = form(x.clamp(-level, level), HardClip(-level, level), PUBLISHED)
    expected = torch.from_numpy(golden[f"{key}_signal"]).double()
    if close is None:  # 10,000 steps and a switch at the level make more of rounding
        assert (signal - expected).norm() < 1e-3 * expected.norm()
    else:
        assert steps.tolist() == golden[f"{key}_iterations"].tolist()
        torch.testing.assert_close(signal, expected, rtol=0, atol=close)
    fast, _ = form(x.clamp(-level, level), HardClip(-level, level))
    assert (fast - x).norm() < 10 ** (0.5 / 20) * (signal - x).norm()
