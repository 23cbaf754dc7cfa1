"""Social sparsity: its transform, its shrinkage, and the descent against a plain form of the algorithm."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical.social_sparsity import (
    ALONE,
    AROUND,
    DEFAULT,
    DEFAULT_EW,
    PUBLISHED,
    SocialSparsity,
    analysis,
    local_sum,
    misfit,
    shrunk,
    ss_ew,
    ss_pew,
    synthesis,
)
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden"
SMALL = SocialSparsity(window=64, thresholds=4, steps=12, tolerance=0.02)
FORMS = pytest.mark.parametrize("form", [ss_ew, ss_pew])


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tones(time: int, seed: int = 0) -> Tensor:
    places = torch.arange(time, dtype=torch.float64)
    return (places * 0.31 + seed).sin() + 0.5 * (places * 0.83).sin() + 0.02 * noise(time, seed=seed)


def plain_shrunk(z: Tensor, threshold: float, around: tuple[int, int]) -> Tensor:
    """Bin by bin; an index beyond an edge is mirrored, the edge itself included."""
    out = torch.zeros_like(z)
    frames, bins = z.shape

    def mirrored(place: int, size: int) -> int:
        return -1 - place if place < 0 else 2 * size - 1 - place if place >= size else place

    for n in range(frames):
        for b in range(bins):
            near = [mirrored(n + d, frames) for d in range(-(around[0] // 2), around[0] // 2 + 1)]
            beside = [mirrored(b + d, bins) for d in range(-(around[1] // 2), around[1] // 2 + 1)]
            power = sum(abs(z[i, j].item()) ** 2 for i in near for j in beside) / (len(near) * len(beside))
            out[n, b] = z[n, b] * max(0.0, 1 - threshold**2 / power)
    return out


def plain(
    y: Tensor,
    low: float,
    high: float,
    around: tuple[int, int],
    settings: SocialSparsity,
) -> tuple[Tensor, list[int]]:
    """One row, with two syntheses an iteration, as printed; the shrinkage is tested by itself."""
    time, more = len(y), -len(y) % (2 * settings.window)
    r = settings.redundancy
    g = z = torch.zeros_like(analysis(torch.nn.functional.pad(y, (0, more)), settings.window, r))
    previous, counts = y, []
    for i in range(settings.thresholds):
        threshold = 10 ** (-1 - 3 * i / (settings.thresholds - 1)) * math.sqrt(2 / r)
        for k in range(1, settings.steps + 1):
            x = synthesis(z, r)[:time]
            residual = y - x
            residual[(y >= high) & (x.abs() > high)] = 0
            residual[(y <= low) & (x.abs() > -low)] = 0
            step = analysis(torch.nn.functional.pad(residual, (0, more)), settings.window, r)
            last, g = g, shrunk(z + step, torch.tensor(threshold, dtype=y.dtype), around)
            z = g + (k - 1) / (k + 5) * (g - last)
            change = (synthesis(g, r)[:time] - previous).norm()
            previous = synthesis(g, r)[:time]
            if change < settings.tolerance:
                break
        counts.append(k)
    return previous, counts


def test_the_transform_is_tight_and_synthesis_its_adjoint() -> None:
    x, z = noise(2, 256), torch.complex(noise(2, 16, 65, seed=1), noise(2, 16, 65, seed=2))
    torch.testing.assert_close(synthesis(analysis(x, 64)), x)
    half = torch.ones(65, dtype=torch.float64).index_fill(0, torch.tensor([0, 64]), 0.5)
    product = 2 * (half * (analysis(x, 64).conj() * z).real).sum()
    torch.testing.assert_close((x * synthesis(z)).sum(), product)


def test_a_frame_is_the_windowed_signal_around_its_centre() -> None:
    x = noise(256)
    hann = torch.hann_window(64, dtype=torch.float64)
    for redundancy, size in ((1, 64), (2, 128)):
        expected = torch.fft.rfft(x[32:96] * hann, n=size) / math.sqrt(1.5 * size)
        torch.testing.assert_close(analysis(x, 64, redundancy)[4], expected)
        torch.testing.assert_close(synthesis(analysis(x, 64, redundancy), redundancy), x)


@pytest.mark.parametrize("around", [ALONE, AROUND, (3, 5)])
def test_shrinkage_by_hand(around: tuple[int, int]) -> None:
    z = torch.complex(noise(8, 9), noise(8, 9, seed=1))
    expected = plain_shrunk(z, 1.4, around)
    assert 10 < (expected == 0).sum() < 70
    torch.testing.assert_close(shrunk(z, torch.tensor(1.4, dtype=torch.float64), around), expected)
    assert not shrunk(torch.zeros_like(z), torch.tensor(0.1), around).any()


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
    torch.testing.assert_close(misfit(x, y, torch.tensor(-0.4), torch.tensor(0.5)), expected)


@pytest.mark.parametrize("redundancy", [2, 1])
@pytest.mark.parametrize(("form", "around"), [(ss_ew, ALONE), (ss_pew, AROUND)])
def test_the_descent_is_the_plain_form(form, around: tuple[int, int], redundancy: int) -> None:
    y, settings = tones(300).clamp(-0.9, 0.7), replace(SMALL, redundancy=redundancy)
    signal, steps = form(y, HardClip(-0.9, 0.7), settings)
    expected, counts = plain(y, -0.9, 0.7, around, settings)
    assert steps.tolist() == counts
    assert len(set(counts)) > 2
    torch.testing.assert_close(signal, expected, rtol=0, atol=1e-10)


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
    assert SocialSparsity(8192, 2, 1e-1, 1e-4, 20, 500, 1e-4, 0, None, torch.float64) == PUBLISHED
    assert SocialSparsity(8192, 1, 1e-1, 1e-4, 10, 200, 1e-4, 1, 0.15, torch.float32) == DEFAULT
    assert replace(DEFAULT, thresholds=20, steps=100) == DEFAULT_EW
    thresholds = [10 ** (-1 - 3 * i / 19) for i in range(20)]
    assert PUBLISHED.schedule().tolist() == pytest.approx(thresholds)
    wider = replace(PUBLISHED, redundancy=1).schedule()  # half as many coefficients for as much energy
    torch.testing.assert_close(wider, PUBLISHED.schedule() * math.sqrt(2))


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
