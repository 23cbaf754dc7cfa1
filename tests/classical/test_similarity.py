"""The similarity-based fill: exact where a recording repeats itself, a continuation where it does not."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical import similarity
from audiomend.classical.autoregression import burg
from audiomend.classical.continuation import agreement, continuations, continued
from audiomend.classical.similarity import (
    FRAME_S,
    HOP_S,
    Similarity,
    interpolated,
    refined,
    unlikeness,
)

RATE = 8000
PERIOD = 4321  # no multiple of a hop


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def phrase(seed: int = 0) -> Tensor:
    """(PERIOD,) coloured noise whose colour changes, so that no two places are alike."""
    n = torch.arange(PERIOD, dtype=torch.float64)
    tone = (n * (0.2 + 0.00015 * n)).sin() + 0.5 * (n * (0.5 + 0.0001 * n)).sin()
    return tone + 0.1 * noise(PERIOD, seed=seed)


def holed(time: int, *gaps: tuple[int, int]) -> Tensor:
    known = torch.ones(time, dtype=torch.bool)
    for start, end in gaps:
        known[start:end] = False
    return known


def test_a_repetition_is_found_to_the_sample_and_copied_exactly():
    x = phrase().repeat(4)
    known = holed(len(x), (10_000, 12_400))
    filled = interpolated(torch.where(known, x, math.nan), known, RATE)
    fade = 240  # 30 ms
    torch.testing.assert_close(filled[10_000 + fade : 12_400 - fade], x[10_000 + fade : 12_400 - fade])
    assert torch.equal(filled[known], x[known])
    assert (filled - x)[~known].norm() < 0.75 * torch.cat([x[10_000:10_240], x[12_160:12_400]]).norm()


def test_the_copy_takes_the_level_around_the_gap_within_limits():
    parts = torch.stack([phrase() * gain for gain in (1.0, 1.0, 0.6)]).flatten()
    start, end = 2 * PERIOD + 1000, 2 * PERIOD + 3000
    known = holed(len(parts), (start, end))
    inner = slice(start + 300, end - 300)
    filled = interpolated(parts, known, RATE)
    torch.testing.assert_close(filled[inner], parts[inner], rtol=0, atol=1e-9)
    limited = interpolated(parts, known, RATE, Similarity(gain_db=2.0))
    torch.testing.assert_close(limited[inner], parts[inner] / 0.6 * 10 ** (-2 / 20), rtol=0, atol=1e-9)

    louder = torch.stack([phrase() * gain for gain in (1.0, 1.0, 1.9)]).flatten()
    start, end = 2 * PERIOD + 1000, 2 * PERIOD + 3000
    limited = interpolated(louder, holed(len(louder), (start, end)), RATE, Similarity(gain_db=2.0))
    expected = louder[start + 300 : end - 300] / 1.9 * 10 ** (2 / 20)
    torch.testing.assert_close(limited[start + 300 : end - 300], expected, rtol=0, atol=1e-9)


def test_the_least_distance_alone_finds_the_place():
    """One candidate, with quiet, loud and other sound beside it."""
    other = 0.02 * noise(3000, seed=5).cumsum(0)
    x = torch.cat(
        [other, phrase(), 5 * noise(3000, seed=6), 1e-3 * noise(3000, seed=7), phrase(), other.flip(0)]
    )
    start = 9000 + PERIOD + 1500
    filled = interpolated(x, holed(len(x), (start, start + 900)), RATE, Similarity(candidates=1))
    torch.testing.assert_close(filled[start + 300 : start + 600], x[start + 300 : start + 600])


def test_the_refinement_is_a_correlation():
    x = phrase().repeat(3)[None]
    known = holed(x.shape[1], (5000, 5400))
    best, shift = refined(x, known, 5000, 5400, PERIOD - 7, edge=240, hop=46)
    assert shift == PERIOD
    assert best == pytest.approx(1, abs=1e-6)
    beside = holed(x.shape[1], (5000, 5400), (PERIOD + 5404, PERIOD + 5450))  # farther shifts copy a gap
    assert refined(x, beside, 5000, 5400, PERIOD - 7, edge=240, hop=46) == (best, shift)
    within = holed(x.shape[1], (5000, 5400), (PERIOD + 5100, PERIOD + 5200))
    assert refined(x, within, 5000, 5400, PERIOD - 7, edge=240, hop=46)[0] == -2
    quiet = x.clone()
    quiet[:, 2 * PERIOD :] *= -0.01
    best, shift = refined(quiet, known, 5000, 5400, PERIOD - 7, edge=240, hop=46)
    assert best < 0.9


@pytest.mark.parametrize(("length", "fade"), [(2400, 240), (600, 200)])
def test_fades_are_squares_of_sines(monkeypatch: pytest.MonkeyPatch, length: int, fade: int):
    """Of 30 ms, but no longer than a third of the gap."""
    monkeypatch.setattr(
        "audiomend.classical.continuation.continued", lambda x, n, order: x.new_zeros(len(x), n)
    )
    x, end = phrase().repeat(4) + 3, 10_000 + length
    share = interpolated(x, holed(len(x), (10_000, end)), RATE)[10_000:end] / x[10_000:end]
    rise = (torch.arange(1, fade + 1, dtype=torch.float64) / (fade + 1) * math.pi / 2).sin().square()
    torch.testing.assert_close(share[:fade], rise, rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(share[-fade:], rise.flip(0), rtol=1e-6, atol=1e-6)
    torch.testing.assert_close(share[fade:-fade], torch.ones(length - 2 * fade, dtype=torch.float64))


def test_agreement_is_a_correlation():
    n = torch.arange(3000, dtype=torch.float64)
    known = holed(3000, (1400, 1600))
    sure = (0.3 * n).sin()[None]
    assert float(agreement(sure, known, 1400, 1600, 32)) == pytest.approx(1, abs=1e-3)
    opposite, softer = (torch.where(n < 1500, sure, share * sure) for share in (-1, 0.3))
    found = agreement(torch.cat((sure, opposite, softer)), known, 1400, 1600, 32)
    assert found.tolist() == pytest.approx([1, 0, 1], abs=1e-3)


@pytest.mark.parametrize(
    ("first", "last", "other"), [(904, 9296, ()), (4700, 5500, ((4500, 4700), (5500, 5700)))]
)
def test_a_side_goes_on_from_4096_samples_or_from_another_gap(first: int, last: int, other) -> None:
    """What lies farther away is not looked at."""
    x = (0.3 * torch.arange(10_000, dtype=torch.float64)).sin()[None]
    seen = x.clone()
    seen[:, :first] = seen[:, last:] = torch.nan
    known = holed(10_000, (5000, 5200), *other)
    for side in continuations(seen, known, 5000, 5200, 200, 32):
        torch.testing.assert_close(side, x[:, 5000:5200], rtol=0, atol=0.02)


def test_a_falling_level_is_followed_along_a_line_of_db():
    """The copy's level is 1 on both sides, that around the gap falls by 3 dB across it."""
    start, end = 2 * PERIOD + 1000, 2 * PERIOD + 3000
    x = phrase().repeat(3)
    x[start:] *= 10 ** (-3 / 20)
    known = holed(len(x), (start, end))
    filled = interpolated(x, known, RATE)
    line = 10 ** (-3 / 20 * torch.linspace(0, 1, end - start, dtype=torch.float64))
    inner = slice(start + 300, end - 300)
    expected = (phrase().repeat(3)[start:end] * line)[300:-300]
    torch.testing.assert_close(filled[inner], expected, rtol=0, atol=1e-9)


def test_channels_share_the_place():
    x = torch.stack([phrase().repeat(4), phrase(seed=1).flip(0).repeat(4) * 0.3]).float()
    known = holed(x.shape[1], (10_000, 12_000), (15_000, 15_200))
    filled = interpolated(x, known, RATE)
    assert filled.dtype == torch.float32
    torch.testing.assert_close(filled[:, 10_300:11_700], x[:, 10_300:11_700], rtol=0, atol=1e-5)
    assert torch.equal(interpolated(x, torch.ones_like(known), RATE), x)


def test_the_reach_is_kept():
    x = torch.cat([phrase(), 0.1 * noise(30_000, seed=4), phrase()])
    start = PERIOD + 30_000 + 1500
    known = holed(len(x), (start, start + 1000))
    inner = slice(start + 300, start + 700)
    assert torch.allclose(interpolated(x, known, RATE, Similarity(reach_s=5))[inner], x[inner])
    assert not torch.allclose(interpolated(x, known, RATE, Similarity(reach_s=3))[inner], x[inner])


def test_what_is_copied_is_known():
    """The one repetition has a hole itself; it must not be copied."""
    x = phrase().repeat(2) + 1.0
    known = holed(len(x), (2000, 2600), (PERIOD + 1900, PERIOD + 2500))
    filled = interpolated(torch.where(known, x, 0), known, RATE)
    for start in (2000, PERIOD + 1900):
        silent = (filled[start : start + 600].abs() < 1e-3).double()
        assert silent.unfold(0, 20, 1).amin(-1).sum() == 0


def test_without_a_place_both_sides_go_on_and_meet(monkeypatch: pytest.MonkeyPatch):
    n = torch.arange(2400, dtype=torch.float64)
    x = (0.3 * n).sin() + 0.5 * (1.1 * n + 1).sin()
    known = holed(len(x), (900, 1500))
    filled = interpolated(x, known, RATE, Similarity(reach_s=0, order=64))
    assert (filled - x)[~known].norm() < 0.02 * x[~known].norm()
    sides = torch.tensor([[1.0], [3.0]]).double()
    monkeypatch.setattr(
        similarity, "continuations", lambda x, known, start, end, n, order: sides.repeat(1, n)
    )
    rise = (torch.arange(1, 601, dtype=torch.float64) / 601 * math.pi / 2).sin().square()
    mixed = interpolated(x, known, RATE, Similarity(reach_s=0))[~known]
    torch.testing.assert_close(mixed, 1 + 2 * rise)
    monkeypatch.undo()
    for gap in ((0, 100), (0, 2400), (2300, 2400)):
        assert interpolated(x, holed(len(x), gap), RATE).isfinite().all()


@pytest.mark.parametrize("count", [1, 100, 2500])
def test_a_continuation_is_the_recursion_of_its_model(count: int):
    x = torch.stack([phrase(), noise(PERIOD)])[:, :900]
    a = burg(x, 20, torch.tensor([900, 900])).numpy()
    expected = x.numpy()
    for _ in range(count):
        new = -(expected[:, -1:-21:-1] * a[:, 1:]).sum(-1, keepdims=True)
        expected = np.concatenate([expected, new], axis=1)
    torch.testing.assert_close(
        continued(x, count, 20), torch.from_numpy(expected[:, 900:]), rtol=0, atol=1e-9
    )


def test_silence_stays_silence():
    assert not interpolated(torch.zeros(9000), holed(9000, (4000, 5000)), RATE).any()
    assert not continued(torch.zeros(2, 50), 10, 8).any()
    assert not continued(torch.ones(1, 2), 10, 8).any()


def test_unlikeness_is_the_difference_of_levels_in_db():
    """Of a sound that comes again as it was, and 6 dB softer."""
    sound = torch.cat([phrase(), noise(-PERIOD % round(HOP_S * RATE))])
    softer = torch.cat([sound, sound * 10 ** (-6 / 20)])[None]
    again = torch.cat([sound, sound])[None]
    known = holed(softer.shape[-1], (2000, 2800))
    for x, expected in ((softer, 6.0), (again, 0.0), (torch.cat([again, softer]), 18**0.5)):
        assert unlikeness(x, known, 2000, 2800, RATE) == pytest.approx(expected, rel=0.04, abs=0.05)
    lost = torch.where(known, again, torch.nan)
    assert unlikeness(lost, known, 2000, 2800, RATE) < 0.05
    there = len(sound) + 3000  # what is not known around the other place is not compared
    holes = holed(again.shape[-1], (2000, 2800), (there, there + 300))
    assert unlikeness(again, holes, 2000, 2800, RATE) < 0.05


@pytest.mark.parametrize("sides", [1, 2])
def test_what_is_a_tenth_of_a_second_farther_away_counts_by_a_share_of_1_by_e(sides: int):
    """6 dB of difference from 0.2 s away on, after or on both sides, of surroundings that reach to 0.4 s."""
    sound = torch.cat([*(phrase(seed) for seed in range(3)), noise(-3 * PERIOD % round(HOP_S * RATE))])
    start, end, far = 6000, 6800, 1600
    level = torch.ones(len(sound))
    level[end + far :] = 10 ** (-6 / 20)
    if sides == 2:
        level[: start - far] = 10 ** (-6 / 20)
    x, known = torch.cat([sound, sound * level])[None], holed(2 * len(sound), (start, end))
    away = FRAME_S / 2 + HOP_S * np.arange(0, (0.4 - FRAME_S / 2) / HOP_S)
    weight = np.exp(-away / 0.1)
    expected = 6 * math.sqrt(sides / 2 * weight[away > 0.2].sum() / weight.sum())
    assert unlikeness(x, known, start, end, RATE) == pytest.approx(expected, rel=0.03)


@pytest.mark.parametrize("earlier", [1, 7, 20])
def test_the_surroundings_are_compared_wherever_a_recording_begins(earlier: int):
    x, known = torch.cat([phrase(), phrase(1), phrase(), phrase(2)])[None], holed(4 * PERIOD, (5000, 5800))
    x[:, 2 * PERIOD :] += 0.1 * noise(2 * PERIOD, seed=3)
    expected = unlikeness(x, known, 5000, 5800, RATE)
    begun = unlikeness(x[:, earlier:], known[earlier:], 5000 - earlier, 5800 - earlier, RATE)
    assert begun == pytest.approx(expected, rel=1e-9)


def test_places_that_are_tried_are_three_hops_apart():
    x, known, hop = phrase().repeat(4)[None], holed(4 * PERIOD, (10_000, 12_400)), round(HOP_S * RATE)
    tried = [shift for shift, _ in similarity._near_shifts(x, known, 10_000, 12_400, RATE, Similarity())]
    assert len(tried) == Similarity().candidates
    assert np.diff(sorted(tried)).min() >= 3 * hop


def test_levels_are_compared_where_both_places_are_known():
    """A tenth of a second before and after the gap; 1000 samples earlier there is a hole, and the gap."""
    known = holed(4000, (2000, 2400), (900, 950))
    x = known.double()[None]
    gain = similarity._gain(x, known, 2000, 2400, -1000, RATE, Similarity())
    torch.testing.assert_close(gain, torch.ones(400, dtype=torch.float64))


@pytest.mark.parametrize(("short", "fits"), [(0, True), (1, False)])
def test_a_copy_and_a_hop_beyond_it_must_lie_within_the_recording(short: int, fits: bool):
    hop, (start, end) = round(HOP_S * RATE), (6000, 6400)
    period = 80 * hop
    x = noise(1, period).repeat(1, 5)[:, : end + period + hop - short]
    known = holed(x.shape[1], (start, end))
    tried = [shift for shift, _ in similarity._near_shifts(x, known, start, end, RATE, Similarity())]
    assert -period in tried
    assert (period in tried) == fits


@pytest.mark.parametrize(("hz", "band"), [(500, 6), (1500, 18), (3000, 27), (6000, 36)])
def test_bands_are_even_to_1_khz_and_by_ratio_beyond(hz: int, band: int):
    """Forty from 0 to 8 kHz, which is 1 + ln 8 on a scale where 1 kHz is 1."""
    x = (2 * math.pi * hz / 16_000 * torch.arange(2048, dtype=torch.float64)).sin()
    levels = similarity._log_spectra(x[None], 1024, 256, 16_000)
    assert levels.argmax(dim=0).tolist() == [band] * 5


def test_without_a_place_everything_is_unlike():
    x = torch.ones(1, 3000)
    assert unlikeness(x, holed(3000, (1000, 2500)), 1000, 2500, RATE) == math.inf
