"""SPADE: its transform, its threshold, and the loop against a plain form of the papers' algorithms."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical.spade import (
    DEFAULT,
    HEAVY,
    PUBLISHED,
    Spade,
    a_form,
    a_spade,
    analysis,
    hard_threshold,
    s_form,
    s_spade,
    solve,
    spectral_norm,
    synthesis,
)
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = Spade(window=64)
FORMS = pytest.mark.parametrize("form", [a_spade, s_spade])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tones(time: int, seed: int = 0) -> Tensor:
    places = torch.arange(time, dtype=torch.float64)
    return (places * 0.31 + seed).sin() + 0.5 * (places * 0.83).sin() + 0.02 * noise(time, seed=seed)


def test_synthesis_is_the_inverse_and_the_adjoint_of_analysis_which_keeps_energy() -> None:
    x, z = noise(3, 64), torch.fft.rfft(noise(3, 128, seed=1), norm="ortho")
    torch.testing.assert_close(synthesis(analysis(x)), x)
    torch.testing.assert_close(spectral_norm(analysis(x)), x.norm(dim=-1))
    whole = torch.fft.fft(torch.nn.functional.pad(x, (0, 64)), norm="ortho")
    torch.testing.assert_close(analysis(x), whole[:, :65])
    torch.testing.assert_close(analysis(x, 1), torch.fft.fft(x, norm="ortho")[:, :33])
    torch.testing.assert_close(synthesis(analysis(x, 1), 1), x)
    difference = analysis(x) - z
    inner = (x.square().sum(-1) + spectral_norm(z) ** 2 - spectral_norm(difference) ** 2) / 2
    torch.testing.assert_close((x * synthesis(z)).sum(-1), inner)


@pytest.mark.parametrize("k", [1, 2, 17, 64, 65, 80])
def test_the_hard_threshold_keeps_the_k_largest(k: int) -> None:
    z = torch.complex(noise(5, 65), noise(5, 65, seed=1))
    kept = hard_threshold(z, k)
    chosen = kept != 0
    assert torch.equal(kept[chosen], z[chosen])
    assert (chosen.sum(-1) == min(k, 65)).all()
    magnitude = z.abs()
    magnitude[:, 0] /= 2
    least = torch.where(chosen, magnitude, math.inf).amin(-1)
    most = torch.where(chosen, 0, magnitude).amax(-1)
    assert (least >= most).all()


def test_of_equal_bins_the_lower_are_kept_and_bin_0_counts_half() -> None:
    z = torch.tensor([[3.0, 2, 1, 2, 2], [1, 1, 1, 1, 1], [5, 1, 2, 2, 2]], dtype=torch.complex128)
    expected = torch.tensor([[0.0, 2, 0, 2, 0], [0, 1, 1, 0, 0], [5, 0, 2, 0, 0]], dtype=z.dtype)
    assert torch.equal(hard_threshold(z, 2), expected)


@FORMS
@pytest.mark.parametrize(
    ("step", "every", "redundancy", "growth"), [(1, 2, 2, 0), (2, 3, 2, 0), (1, 2, 1, 0), (1, 2, 1, 0.2)]
)
def test_all_frames_at_once_are_the_plain_form(
    form,
    step: int,
    every: int,
    redundancy: int,
    growth: float,
    benchmark_file: Callable[[str], ModuleType],
) -> None:
    settings = replace(SMALL, step=step, every=every, redundancy=redundancy, growth=growth)
    y, clip = tones(240).clamp(-0.9, 0.7), HardClip(-0.9, 0.7)
    signal, iterations = form(y, clip, settings)
    expected, counts = benchmark_file("plain_declip").spade(y.numpy(), -0.9, 0.7, settings, form is a_spade)
    assert iterations.tolist() == counts
    assert len(set(counts)) > 3
    torch.testing.assert_close(signal, torch.from_numpy(expected), rtol=0, atol=1e-10)


def test_k_grows_by_the_step_or_by_a_share_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def keep(spectrum: torch.Tensor, k: int) -> torch.Tensor:
        asked.append(k)
        return hard_threshold(spectrum, k)

    form = replace(a_form(1), sparse=keep)
    y = noise(1, 128)
    known = (y, y)
    solve(y, *known, replace(SMALL, redundancy=1, step=2, every=1, growth=0.25, tolerance=-1.0), form)
    assert asked[:9] == [2, 4, 6, 8, 10, 12, 15, 18, 22]


@FORMS
@pytest.mark.parametrize(("every", "most"), [(2, 17), (1, 9)])  # 65 * every / 8, rounded up
def test_where_the_two_points_never_meet_the_best_is_kept(
    form, every: int, most: int, benchmark_file: Callable[[str], ModuleType]
) -> None:
    settings = replace(SMALL, tolerance=0.0, step=8, every=every)
    y, clip = (tones(100) + noise(100)).clamp(-0.9, 0.7), HardClip(-0.9, 0.7)
    assert settings.most_iterations == most
    signal, iterations = form(y, clip, settings)
    expected, counts = benchmark_file("plain_declip").spade(y.numpy(), -0.9, 0.7, settings, form is a_spade)
    assert iterations.tolist() == counts
    torch.testing.assert_close(signal, torch.from_numpy(expected), rtol=0, atol=1e-10)


@FORMS
@pytest.mark.parametrize("settings", [SMALL, replace(DEFAULT, window=64)])
def test_known_samples_are_untouched_and_clipped_ones_go_beyond_the_level(form, settings: Spade) -> None:
    x = torch.stack([tones(500), tones(500, 1)]).float()
    clip = HardClip(torch.tensor([[-0.8], [-1.0]]), torch.tensor([[0.7], [math.inf]]))
    y = clip.forward(x)
    signal, _ = form(y, clip, settings)
    assert signal.dtype == torch.float32
    assert torch.equal(clip.forward(signal), y)
    clipped = y != x
    assert (signal - x)[clipped].norm() < 0.75 * (y - x)[clipped].norm()


@FORMS
def test_a_batch_is_each_of_its_rows(form) -> None:
    x = torch.stack([tones(300), 3 * tones(300, 1)])[:, None].expand(2, 3, 300) * noise(1, 3, 1, seed=3)
    y, clip = x.clamp(-0.5, 0.5), HardClip(-0.5, 0.5)
    signal, iterations = form(y, clip, replace(DEFAULT, window=64))
    assert iterations.shape == (2, 3, math.ceil(300 / 16) + 3)
    for place in np.ndindex(2, 3):
        alone, counts = form(y[place], clip, replace(DEFAULT, window=64))
        assert torch.equal(iterations[place], counts)
        torch.testing.assert_close(signal[place], alone, rtol=1e-5, atol=1e-5)


@FORMS
def test_the_default_does_not_depend_on_the_level_and_skips_what_is_whole(form) -> None:
    x = torch.cat([0.5 * tones(300), tones(300)])
    y, settings = x.clamp(-1, 1), replace(DEFAULT, window=64)
    signal, iterations = form(y, HardClip(-1, 1), settings)
    quiet, counts = form(y / 64, HardClip(-1 / 64, 1 / 64), settings)
    assert torch.equal(iterations, counts)
    torch.testing.assert_close(quiet * 64, signal, rtol=0, atol=1e-6)
    assert not iterations[:16].any()
    assert iterations.any()
    whole, counts = form(x, HardClip(-5, 5), SMALL)
    assert torch.equal(whole, x)
    assert counts.any()  # as published, frames without a clipped sample run too
    silence, counts = form(torch.zeros(300), HardClip(-1, 1), settings)
    assert not silence.any()
    assert not counts.any()


def test_settings_are_those_of_the_survey_and_those_that_were_chosen() -> None:
    assert Spade(8192, 2, 1, 2, 0.0, 0.1, None, torch.float64, True) == PUBLISHED
    assert PUBLISHED.most_iterations == 16386
    assert Spade(8192, 2, 2, 2, 0.0, 0.2, 0.15, torch.float32, False) == DEFAULT
    assert DEFAULT.most_iterations == 8193  # 8193 * 2 / 2
    assert replace(DEFAULT, step=1, tolerance=0.5) == HEAVY


@pytest.mark.parametrize(("form", "key"), [(a_form, "aspade"), (s_form, "sspade")])
def test_a_frame_takes_as_many_iterations_as_by_the_published_code(form, key: str) -> None:
    """More than three thousand, whose number another decision of the threshold would change."""
    golden, frame = np.load(GOLDEN / "declip_piano.npz"), 9  # the last but one, with silence behind the clip
    level = float(golden["level"])
    x = torch.from_numpy(golden["clean"]).double() / 32768
    first = frame * 2048 - 4096
    y = torch.nn.functional.pad(x[first:].clamp(-level, level), (0, first + 8192 - len(x)))
    window = torch.hann_window(8192, dtype=torch.float64)
    lower = torch.where(y <= -level, -math.inf, y * window)
    upper = torch.where(y >= level, math.inf, y * window)
    _, iterations = solve((y * window)[None], lower[None], upper[None], PUBLISHED, form(2))
    assert iterations.tolist() == [golden[f"{key}_iterations"][frame]]


@pytest.mark.nightly
@pytest.mark.parametrize(("form", "key"), [(a_spade, "aspade"), (s_spade, "sspade")])
def test_the_published_code_takes_as_many_iterations_to_the_same_signal(form, key: str) -> None:
    golden = np.load(GOLDEN / "declip_piano.npz")
    level = float(golden["level"])
    x = torch.from_numpy(golden["clean"]).double() / 32768
    signal, iterations = form(x.clamp(-level, level), HardClip(-level, level), PUBLISHED)
    assert iterations.tolist() == golden[f"{key}_iterations"].tolist()
    expected = torch.from_numpy(golden[f"{key}_signal"]).double()
    torch.testing.assert_close(signal, expected, rtol=0, atol=1e-6)
    fast, _ = form(x.clamp(-level, level), HardClip(-level, level))
    assert (fast - x).norm() < 10 ** (0.5 / 20) * (signal - x).norm()
