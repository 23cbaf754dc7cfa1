"""What holds for any numbers: projections, masks, filters, transforms, spans and figures of merit.

Each property is tried with 200 examples.
"""

import math
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from numpy.typing import NDArray
from torch import Tensor

from audiomend.audio.blocks import Runs, Spill
from audiomend.audio.level import ActiveLevel
from audiomend.classical.autoregression import least_residual, lpc
from audiomend.classical.clip_level import held, local_mean
from audiomend.classical.curve import CURVES, Bend, Name
from audiomend.classical.janssen import Janssen, interpolated
from audiomend.classical.runs import runs
from audiomend.classical.shrinkage import local_sum, wiener
from audiomend.classical.spade import hard_threshold
from audiomend.denoisers.windowed import Windows
from audiomend.detect.finding import sureness
from audiomend.evaluation.metrics import level_error, sdr, si_sdr, split_bands
from audiomend.noise import normal
from audiomend.operators.convolution import Convolution
from audiomend.operators.decimate import Decimate
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.operators.quantize import Quantize
from audiomend.restorers.bands import parse_bands
from audiomend.restorers.classical import parts
from audiomend.restorers.damage import Gaps
from audiomend.restorers.memory import ArrayReader, read_padded
from audiomend.restorers.methods import Method
from audiomend.restorers.regions import merge, region_fade
from audiomend.schedules import karras, log
from audiomend.transforms.stft import Stft, circular_frames, circular_overlap_add

Array = NDArray[Any]
ANY = settings(max_examples=200, deadline=None, derandomize=True)

seeds = st.integers(0, 2**32 - 1)
lengths = st.integers(1, 300)
numbers = arrays(np.float64, st.integers(1, 60), elements=st.floats(-2, 2))
spans = st.lists(st.tuples(st.integers(0, 300), st.integers(1, 50)).map(lambda p: (p[0], sum(p))), max_size=8)


def noise(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


# --- Damages and what agrees with them ----------------------------------------------------------------------


@ANY
@given(x=numbers, seed=seeds, low=st.floats(-1, -0.01), high=st.floats(0.01, 1))
def test_clipping_a_projection_gives_the_observation(x: Array, seed: int, low: float, high: float) -> None:
    clip, y = HardClip(low, high), torch.from_numpy(x).clamp(low, high)
    z = noise(seed, len(x))
    projected = clip.project(z, y)
    assert torch.equal(clip.forward(projected), y)
    assert torch.equal(clip.project(projected, y), projected)
    consistent = clip.project(noise(seed + 1, len(x)), y)
    assert (projected - z).norm() <= (consistent - z).norm()  # none that agrees is nearer


@ANY
@given(seed=seeds, length=st.integers(2, 300), sdr_db=st.floats(0.1, 60))
def test_a_level_clips_to_the_ratio_that_it_was_asked_for(seed: int, length: int, sdr_db: float) -> None:
    x = noise(seed, length)
    level = threshold_for_sdr(x, sdr_db)
    assert sdr(x.numpy(), x.clamp(-level, level).numpy()) == pytest.approx(sdr_db, abs=1e-5)


@ANY
@given(x=numbers, seed=seeds, step=st.floats(1e-4, 1))
def test_rounding_a_projection_gives_the_observation(x: Array, seed: int, step: float) -> None:
    quantize = Quantize(step)
    y = quantize.forward(torch.from_numpy(x))
    z = 3 * noise(seed, len(x))
    projected = quantize.project(z, y)
    assert torch.equal(quantize.forward(projected), y)
    assert (projected - y).abs().max() <= step / 2 * (1 + 1e-9)
    inside = (z - y).abs() < step / 2 * (1 - 1e-9)
    assert torch.equal(projected[inside], z[inside])


@ANY
@given(first=spans, second=spans, start=st.integers(-50, 300), length=lengths)
def test_masks_of_two_lists_of_gaps_are_the_conjunction(
    first: list[tuple[int, int]], second: list[tuple[int, int]], start: int, length: int
) -> None:
    stop = start + length
    one, other = (Mask.from_gaps(gaps, start, stop).known for gaps in (first, second))
    assert torch.equal(Mask.from_gaps(first + second, start, stop).known, one & other)
    assert torch.equal(Mask.from_gaps(merge(first), start, stop).known, one)
    wider = Mask.from_gaps(first, start - 7, stop + 9).known
    assert torch.equal(wider[7:-9], one)


@ANY
@given(seed=seeds, length=lengths, share=st.floats(0, 1))
def test_a_mask_is_an_orthogonal_projector(seed: int, length: int, share: float) -> None:
    mask = Mask.random(length, share, torch.Generator().manual_seed(seed))
    x, y = noise(seed, 2, length)
    assert torch.equal(mask.forward(mask.forward(x)), mask.forward(x))
    assert (mask.forward(x) * y).sum() == pytest.approx(float((x * mask.adjoint(y)).sum()), abs=1e-12)
    projected = mask.project(x, mask.forward(y))
    assert torch.equal(mask.forward(projected), mask.forward(y))
    assert torch.equal(projected - mask.forward(projected), x - mask.forward(x))


@ANY
@given(seed=seeds, length=lengths, factor=st.integers(1, 12))
def test_what_was_decimated_is_put_back_where_it_was(seed: int, length: int, factor: int) -> None:
    decimate = Decimate(factor, length)
    x = noise(seed, length)
    y = decimate.forward(x)
    assert torch.equal(decimate.forward(decimate.pinv(y)), y)
    assert (decimate.adjoint(y) * x).sum() == pytest.approx(float(y.square().sum()))


@ANY
@given(seed=seeds, length=lengths, taps=st.integers(1, 40), place=st.floats(0, 1))
def test_any_convolution_has_its_adjoint_and_is_the_sum_over_its_taps(
    seed: int, length: int, taps: int, place: float
) -> None:
    delay = round(place * (taps - 1))
    response, (x, y) = noise(seed, taps), noise(seed + 1, 2, length)
    convolution = Convolution(response, delay)
    forth = convolution.forward(x)
    assert (forth * y).sum() == pytest.approx(float((x * convolution.adjoint(y)).sum()), rel=1e-9, abs=1e-9)
    direct = np.convolve(x.numpy(), response.numpy())[delay : delay + length]
    np.testing.assert_allclose(forth.numpy(), direct, atol=1e-9)


@ANY
@given(
    seed=seeds, length=lengths, cutoff=st.floats(0.05, 0.95), rate=st.sampled_from((8000, 44_100, 192_000))
)
def test_a_low_pass_is_symmetric_and_splits_the_signal(
    seed: int, length: int, cutoff: float, rate: int
) -> None:
    low = LowPass(cutoff * rate / 2, rate, transition=0.5)
    x, y = noise(seed, 2, length)
    assert (low.forward(x) * y).sum() == pytest.approx(float((x * low.forward(y)).sum()), rel=1e-9, abs=1e-9)
    np.testing.assert_allclose(low.replace_band(x, y), low.forward(y) + x - low.forward(x), atol=1e-12)
    assert torch.equal(low.taps, low.taps.flip(-1))
    assert low.taps.sum() == pytest.approx(1)


@ANY
@given(
    curve=st.sampled_from(list(CURVES)),
    level=st.floats(1e-3, 10),
    u=arrays(np.float64, 20, elements=st.floats(-2, 2)),
)
def test_what_a_curve_bent_is_straightened_monotonously_and_no_smaller(
    curve: Name, level: float, u: Array
) -> None:
    bend = Bend(curve, level)
    y = np.sort(u) * level
    x = bend.straightened(y)
    assert (np.diff(x) >= 0).all()
    np.testing.assert_allclose(bend.straightened(-y), -x, atol=1e-300)
    near = np.abs(y) < bend.top * level
    assert (np.abs(x)[near] >= np.abs(y)[near] * (1 - 1e-12) - 1e-300).all()
    lowest, highest = bend.flat
    assert lowest == -highest
    assert (np.abs(x) <= highest * (1 + 1e-12)).all()
    uneven = Bend(curve, level, level / 2).straightened(y)
    np.testing.assert_array_equal(uneven[y > 0], x[y > 0])
    np.testing.assert_allclose(uneven[y <= 0], bend.straightened(2 * y)[y <= 0] / 2, atol=1e-300)


# --- Transforms ---------------------------------------------------------------------------------------------


@ANY
@given(
    seed=seeds,
    window=st.sampled_from((8, 16, 64)),
    overlaps=st.sampled_from((2, 4, 8)),
    count=st.integers(1, 5),
)
def test_a_short_time_spectrum_comes_back_and_frames_have_their_adjoint(
    seed: int, window: int, overlaps: int, count: int
) -> None:
    x = noise(seed, 2, window * count)
    hop = window // overlaps
    stft = Stft(window, hop, window // 2 + 1)
    torch.testing.assert_close(stft.inverse(stft.forward(x)), x)
    frames = circular_frames(x, window, hop)
    y = noise(seed + 1, *frames.shape)
    assert (frames * y).sum() == pytest.approx(
        float((x * circular_overlap_add(y, hop)).sum()), rel=1e-9, abs=1e-9
    )


@ANY
@given(overlap=st.integers(0, 40), more=st.integers(1, 40), length=lengths)
def test_windows_cover_the_signal_and_fade_to_one(overlap: int, more: int, length: int) -> None:
    windows = Windows(2 * overlap + more, overlap + more)
    count = windows.count(length)
    first, stop = windows.span(count)
    total = torch.zeros(stop - first + windows.overlap)
    for k in range(count):
        total[k * windows.hop : k * windows.hop + windows.length] += windows.fade()
    inside = total[-first : length - first]
    torch.testing.assert_close(inside, torch.ones_like(inside))


@ANY
@given(seed=seeds, bins=st.integers(1, 40), rows=st.integers(1, 4), k=st.integers(1, 50))
def test_a_hard_threshold_keeps_the_largest_bins(seed: int, bins: int, rows: int, k: int) -> None:
    z = torch.complex(*noise(seed, 2, rows, bins).round(decimals=1))
    kept = hard_threshold(z, k)
    size = z.abs()
    size[:, 0] /= 2
    for row in range(rows):
        best = size[row].sort(descending=True).values[:k]
        assert size[row][kept[row] != 0].sum() == pytest.approx(float(best.sum()))
        assert torch.equal(kept[row][kept[row] != 0], z[row][kept[row] != 0])


@ANY
@given(seed=seeds, frames=st.integers(1, 20), bins=st.integers(1, 20), threshold=st.floats(1e-3, 3))
def test_shrinkage_is_a_share_that_falls_with_the_threshold(
    seed: int, frames: int, bins: int, threshold: float
) -> None:
    power = noise(seed, frames, bins).square()
    share = wiener(power, threshold)
    assert (share >= 0).all()
    assert (share <= 1).all()
    assert (wiener(power, 2 * threshold) <= share).all()
    torch.testing.assert_close(wiener(4 * power, 2 * threshold), share)


@ANY
@given(seed=seeds, length=st.integers(9, 60), half=st.integers(0, 4))
def test_sums_and_means_of_neighbours_are_those_of_the_mirrored_signal(
    seed: int, length: int, half: int
) -> None:
    x, size = noise(seed, 2, length), 2 * half + 1
    twice = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (half, half)), "symmetric"), size, -1)
    np.testing.assert_allclose(local_sum(x, size, -1), twice.sum(-1), atol=1e-12)
    once = np.lib.stride_tricks.sliding_window_view(np.pad(x, ((0, 0), (half, half)), "reflect"), size, -1)
    np.testing.assert_allclose(local_mean(x, size), once.mean(-1), atol=1e-12)


# --- Models -------------------------------------------------------------------------------------------------


@ANY
@given(seed=seeds, length=st.integers(4, 80), order=st.integers(1, 12), scale=st.floats(1e-3, 1e3))
def test_a_model_is_stable_and_does_not_know_the_level(
    seed: int, length: int, order: int, scale: float
) -> None:
    x = noise(seed, 1, length)
    a = lpc(x, order)
    assert np.abs(np.roots(a[0].numpy())).max(initial=0) < 1 + 1e-6
    torch.testing.assert_close(lpc(scale * x, order), a, rtol=1e-6, atol=1e-7)


@ANY
@given(seed=seeds, length=st.integers(10, 60), share=st.floats(0.05, 0.6), order=st.integers(1, 6))
def test_no_other_samples_leave_less_residual(seed: int, length: int, share: float, order: int) -> None:
    draw = torch.Generator().manual_seed(seed)
    missing = torch.rand(1, length, generator=draw) < share
    a = torch.cat([torch.ones(1, 1, dtype=torch.float64), 0.3 * noise(seed, 1, order)], dim=1)
    x = noise(seed + 1, 1, length)
    best = least_residual(x, missing, a)
    assert torch.equal(best[~missing], x[~missing])

    def energy(y: Tensor) -> float:
        return float(np.square(np.convolve(y[0].numpy(), a[0].numpy())).sum())

    other = best + 0.01 * missing * noise(seed + 2, 1, length)
    assert energy(best) <= energy(other) + 1e-12


@ANY
@given(seed=seeds, gaps=spans, power=st.integers(-8, 8))
def test_interpolation_keeps_what_is_known_and_follows_the_level(
    seed: int, gaps: list[tuple[int, int]], power: int
) -> None:
    known = Mask.from_gaps(gaps[:3], 0, 350).known
    x = noise(seed, 350)
    how = Janssen(order=8, context=32, iterations=2)
    filled = interpolated(x, known, how)
    assert torch.equal(filled[known], x[known])
    assert filled.isfinite().all()
    torch.testing.assert_close(interpolated(2.0**power * x, known, how), 2.0**power * filled)


@ANY
@given(seed=seeds, length=st.integers(15, 200), level=st.floats(0.05, 1), gain=st.floats(1, 30))
def test_held_peaks_agree_and_are_no_louder(seed: int, length: int, level: float, gain: float) -> None:
    x = 0.5 * noise(seed, length)
    y, low, high = x.clamp(-level, level), torch.tensor(-level), torch.tensor(level)
    clipped = y.abs() == level
    assume(bool(clipped.any()))
    restored = torch.where(clipped, y * gain, y)
    kept = held(restored, y, low, high, window=15)
    assert torch.equal(kept[~clipped], y[~clipped])
    assert (kept.abs() <= restored.abs() * (1 + 1e-9)).all()
    assert (kept * y.sign() >= level * (1 - 1e-9))[clipped].all()


# --- Places and spans ---------------------------------------------------------------------------------------


def as_mask(intervals: list[tuple[int, int]], length: int = 400) -> Array:
    inside = np.zeros(length, bool)
    for start, stop in intervals:
        inside[start:stop] = True
    return inside


@ANY
@given(first=spans, second=spans)
def test_merging_is_the_union_of_masks(first: list[tuple[int, int]], second: list[tuple[int, int]]) -> None:
    merged = merge(first + second)
    assert np.array_equal(as_mask(merged), as_mask(first) | as_mask(second))
    assert merge(merged) == merged
    assert merge([*merge(first), *merge(second)]) == merged
    assert all(stop < start for (_, stop), (start, _) in pairwise(merged))


@ANY
@given(gaps=spans)
def test_runs_of_a_mask_are_the_merged_spans(gaps: list[tuple[int, int]]) -> None:
    starts, ends = runs(torch.from_numpy(as_mask(gaps)))
    assert list(zip(starts.tolist(), ends.tolist(), strict=True)) == merge(gaps)


@ANY
@given(gaps=spans, merged=st.integers(0, 20), cuts=st.lists(st.integers(0, 400), max_size=5))
def test_changes_are_counted_and_joined_whatever_the_blocks(
    gaps: list[tuple[int, int]], merged: int, cuts: list[int]
) -> None:
    changed = as_mask(gaps)
    found = Runs(merged)
    for start, stop in pairwise([0, *sorted(cuts), 400]):
        found.add(start, changed[start:stop, None])
    assert found.samples == changed.sum()
    apart = merge((start, stop + merged) for start, stop in merge(gaps))
    assert found.intervals == [(start, stop - merged) for start, stop in apart]


@ANY
@given(gaps=spans, start=st.integers(0, 300), length=lengths, rate=st.sampled_from((1000, 8000)))
def test_a_region_fades_inside_itself_and_by_position(
    gaps: list[tuple[int, int]], start: int, length: int, rate: int
) -> None:
    regions = merge(gaps)
    whole = region_fade(regions, 0, 700, rate)
    assert np.array_equal(whole > 0, as_mask(regions, 700))
    assert (whole <= 1).all()
    assert np.array_equal(region_fade(regions, start, start + length, rate), whole[start : start + length])


@ANY
@given(low=st.integers(0, 20_000), width=st.integers(1, 20_000))
def test_bands_are_read_in_hertz_and_kilohertz(low: int, width: int) -> None:
    high = low + width
    texts = (f"{low}-{high}", f"{low / 1000}k-{high / 1000}k", f" {low}Hz - {high} Hz".replace(" Hz", "Hz"))
    for found in parse_bands(texts):
        assert found == pytest.approx((low, high))


@ANY
@given(gaps=st.lists(spans, min_size=1, max_size=2), grid=st.integers(1, 40), longest=st.integers(1, 300))
def test_parts_hold_every_lost_sample_once(
    gaps: list[list[tuple[int, int]]], grid: int, longest: int
) -> None:
    rows = tuple(tuple(merge(row)) for row in gaps)
    source = ArrayReader(np.ones((len(rows), 360)), 1000)
    method = Method(lambda e: e.observation, lambda *_: "", lambda rate: grid, 0.0, longest / 1000)
    found = parts(source, Gaps(rows), method)
    lost = np.stack([as_mask(list(row), 360) for row in rows])
    covered = np.zeros_like(lost, dtype=int)
    for part in found:
        assert part.start % grid == 0
        assert part.stop % grid == 0 or part.stop == 360
        assert part.stop - part.start <= 1.5 * max(longest, grid) + 2 * grid
        covered[np.array(part.rows), part.start : part.stop] += 1
    assert (covered[lost] == 1).all()
    assert covered.max(initial=0) <= 1
    assert all(one.stop <= other.start for one, other in pairwise(found))


@ANY
@given(x=numbers, start=st.integers(-30, 90), length=st.integers(0, 90))
def test_what_is_read_beyond_the_ends_is_silence(x: Array, start: int, length: int) -> None:
    found = read_padded(ArrayReader(x[None], 1000), start, start + length)
    padded = np.concatenate([np.zeros(30), x, np.zeros(200)])
    assert np.array_equal(found[0], padded[start + 30 : start + 30 + length])


@ANY
@given(seed=seeds, gaps=spans, start=st.integers(0, 300), length=lengths)
def test_a_spill_gives_back_what_changed(
    seed: int, gaps: list[tuple[int, int]], start: int, length: int
) -> None:
    x, changed = noise(seed, 1, 400).numpy(), as_mask(gaps)
    with Spill(1, np.float64) as spill:
        for first, stop in merge(gaps):
            spill.add(first, x[:, first:stop], np.ones(stop - first, bool))
        found = spill.read(start, min(start + length, 400))[0]
        assert spill.peak == np.abs(x[0][changed]).max(initial=0)
    expected = np.where(changed, x[0], np.nan)[start : start + length]
    assert np.array_equal(found, expected, equal_nan=True)


# --- Figures ------------------------------------------------------------------------------------------------


@ANY
@given(seed=seeds, length=st.integers(2, 300), gain=st.floats(1e-3, 1e3), error=st.floats(1e-4, 1))
def test_figures_follow_the_level_and_the_error(seed: int, length: int, gain: float, error: float) -> None:
    x, e = noise(seed, 2, length).numpy()
    shift = 20 * math.log10(error)
    assert sdr(x, x + error * e) == pytest.approx(sdr(x, x + e) - shift, abs=1e-6)
    assert sdr(gain * x, gain * (x + e)) == pytest.approx(sdr(x, x + e), abs=1e-6)
    assert si_sdr(x, gain * (x + e)) == pytest.approx(si_sdr(x, x + e), abs=1e-6)
    assert si_sdr(x, x + e) >= sdr(x, x + e) - 1e-9 or np.vdot(x, x + e) < np.vdot(x, x)
    assert level_error(x, gain * x) == pytest.approx(20 * math.log10(gain), abs=1e-9)


@ANY
@given(seed=seeds, length=lengths, cutoff=st.floats(0.01, 0.99))
def test_bands_add_up_and_share_no_energy(seed: int, length: int, cutoff: float) -> None:
    x = noise(seed, length).numpy()
    below, above = split_bands(x, 2.0, cutoff)
    np.testing.assert_allclose(below + above, x, atol=1e-12)
    assert np.square(below).sum() + np.square(above).sum() == pytest.approx(np.square(x).sum())


@ANY
@given(seed=seeds, gain=st.floats(1e-3, 1e3), frames=st.integers(1, 3000))
def test_the_active_level_follows_the_level(seed: int, gain: float, frames: int) -> None:
    def rms(x: Array) -> float:
        level = ActiveLevel(1000)
        level.add(x)
        return level.rms

    x = noise(seed, 2, frames).numpy()
    assert rms(gain * x) == pytest.approx(gain * rms(x))
    assert rms(x) <= np.abs(x).max()


@ANY
@given(seed=st.integers(0, 2**64 - 1), step=st.integers(0, 100), start=st.integers(-1000, 1000), cut=lengths)
def test_noise_is_a_function_of_the_position(seed: int, step: int, start: int, cut: int) -> None:
    whole = normal(seed, 0, step, 0, start, start + 301)
    assert np.array_equal(normal(seed, 0, step, 0, start + cut, start + 301), whole[cut:])
    assert np.array_equal(normal(seed, 0, step, 0, start, start + cut), whole[:cut])
    assert not np.array_equal(normal(seed, 0, step + 1, 0, start, start + 301), whole)


@ANY
@given(steps=st.integers(1, 60), lowest=st.floats(1e-3, 0.1), ratio=st.floats(1.5, 1e4), rho=st.floats(1, 13))
def test_noise_levels_fall_from_the_highest_to_the_lowest(
    steps: int, lowest: float, ratio: float, rho: float
) -> None:
    for levels in (karras(steps, lowest, ratio * lowest, rho), log(steps, lowest, ratio * lowest)):
        assert len(levels) == steps + 1
        assert levels[0] == pytest.approx(ratio * lowest)
        assert levels[-1] == 0
        assert all(high > low for high, low in pairwise(levels))
        assert steps == 1 or levels[-2] == pytest.approx(lowest)


@ANY
@given(points=st.lists(st.floats(-100, 100), min_size=3, max_size=3, unique=True), x=st.floats(-200, 200))
def test_sureness_rises_from_none_to_full(points: list[float], x: float) -> None:
    none, half, full = sorted(points)
    assume(full - half > 1e-6 and half - none > 1e-6)
    sure = sureness(x, none, half, full)
    assert 0 <= sure <= 1
    assert (sure >= 0.5) == (x >= half) or abs(x - half) < 1e-9
    assert sureness(-x, -none, -half, -full) == pytest.approx(sure)
