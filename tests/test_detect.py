"""The diagnosis of clipping, gaps and bandwidth on signals whose damage is known."""

import math

import numpy as np
import pytest
import soxr
import torch

from audiomend.detect import bandwidth
from audiomend.detect.bandwidth import BandwidthDetector, find_bandwidth
from audiomend.detect.clipping import DEPTH, RATIO, ClippingDetector, find_clipping
from audiomend.detect.gaps import Gap, GapDetector, find_gaps, finding
from audiomend.operators.low_pass import LowPass


def rng(seed=0):
    return np.random.default_rng(seed)


def rumble(n, channels=1, seed=0):
    """Noise of mostly low frequencies, RMS 1, as smooth as music is: (channels, n)."""
    spectrum = np.fft.rfft(rng(seed).standard_normal((channels, n)))
    x = np.fft.irfft(spectrum / (1 + np.arange(spectrum.shape[1]) / (n / 40)), n)
    return x / x.std()


def in_blocks(detector, x, seed):
    """Add x in blocks of random size, some empty, and ask for the result."""
    start, draw = 0, rng(seed)
    while start < x.shape[1]:
        stop = start + int(draw.choice([0, 1, 2, 3, 50, 1000, 30000]))
        detector.add(x[:, start:stop])
        start = stop
    return detector.result()


# --- clipping -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("gain", [1.0, 0.37, 1e-3, 40.0])
def test_clip_levels_are_found_per_channel_and_polarity(gain):
    x = np.clip(rumble(40000, 2), [[-0.9], [-1.5]], [[1.2], [0.6]]) * gain
    left, right = find_clipping(x)
    assert (left.low, left.high) == (-0.9 * gain, 1.2 * gain)
    assert (right.low, right.high) == (-1.5 * gain, 0.6 * gain)
    assert left.clipped == ((x[0] <= -0.9 * gain) | (x[0] >= 1.2 * gain)).sum()
    assert left.samples == 40000
    assert left.confidence > 0.95


def test_a_polarity_that_is_not_clipped_has_no_level():
    above = find_clipping(np.minimum(rumble(40000), 1.0))[0]
    below = find_clipping(np.maximum(rumble(40000), -1.0))[0]
    assert (above.low, above.high) == (-math.inf, 1.0)
    assert (below.low, below.high) == (-1.0, math.inf)
    assert above.clipped == (rumble(40000) >= 1).sum()


@pytest.mark.parametrize("bits", [8, 16, 24])
def test_clip_levels_survive_rounding(bits):
    step = 2.0 ** (1 - bits)
    x = np.round(np.clip(0.3 * rumble(40000), -0.25, 0.4) / step) * step
    found = find_clipping(x)[0]
    assert found.low == x.min()
    assert found.high == x.max()


def test_dither_spreads_the_tops_and_all_of_them_count_as_clipped():
    step, clean = 2.0**-15, 0.3 * rumble(100000)
    dither = step * (rng(1).random(clean.shape) - rng(2).random(clean.shape))
    x = np.round((np.clip(clean, -0.2, 0.3) + dither) / step) * step
    found = find_clipping(x)[0]
    assert found.low == pytest.approx(-0.2, abs=6 * step)
    assert found.high == pytest.approx(0.3, abs=6 * step)
    assert np.mean(x[clean >= 0.3] >= found.high) > 0.995
    assert np.mean(x[clean <= -0.2] <= found.low) > 0.995
    assert np.mean(x[(clean < 0.3) & (clean > -0.2)] >= found.high) < 2e-3


def tops(pairs, others, top=1.0, second=1.0):
    """Pairs of neighbours at the top, each between lower samples of values that differ throughout."""
    low = np.linspace(0.55, 0.8, max(others, pairs + 1))
    x = list(low[pairs + 1 :])
    for k in range(pairs):
        x += [low[k], top, second]
    return np.array([[*x, low[pairs]]])


def test_confidence_is_the_share_of_flat_tops_in_their_neighbourhood():
    """Three lower values always belong to it, and eight samples of doubt."""
    assert find_clipping(tops(89, 1000))[0].confidence == pytest.approx(89 / 100)


def test_clipping_starts_at_a_confidence_of_three_quarters():
    certain, doubtful = find_clipping(tops(33, 1000))[0], find_clipping(tops(32, 1000))[0]
    assert (certain.high, certain.clipped) == (1.0, 66)
    assert (doubtful.high, doubtful.clipped) == (math.inf, 0)


def test_lower_values_within_three_widths_speak_against_a_top():
    """Ten samples in each interval of 1e-4 below: 30 of them lie within three widths of the narrowest top."""
    slope = np.exp(-1e-4 * (np.arange(1, 1000).repeat(10) - 0.5))
    x = np.hstack([tops(89, 1000), np.stack([slope, np.full_like(slope, 0.1)], axis=-1).reshape(1, -1)])
    assert find_clipping(x)[0].confidence == pytest.approx(89 / (89 + 30 + 8), abs=1e-9)


def test_the_neighbourhood_of_a_spread_top_is_three_times_as_wide_as_the_top():
    """Tops of 1 and 1 − 2.5e-4 fill four intervals of 1e-4; the twelve below them hold ten samples each."""
    slope = np.exp(-1e-4 * (np.arange(4, 1000).repeat(10) - 0.5))
    lone = np.stack([slope, np.full_like(slope, 0.1)], axis=-1).reshape(1, -1)
    found = find_clipping(np.hstack([tops(89, 1000, second=1 - 2.5e-4), lone]))[0]
    assert found.confidence == pytest.approx(89 / (89 + 120 + 8), abs=1e-9)


def test_the_level_of_a_spread_top_is_its_lower_edge():
    """Tops of 1 − 2.5e-4 and 1 lie two or three bins of 1e-4 apart."""
    found = find_clipping(tops(200, 2000, second=1 - 2.5e-4))[0]
    assert found.high == pytest.approx(math.exp(-3e-4), rel=1e-9)
    assert found.clipped == 400


@pytest.mark.parametrize("gain", [1.0, 0.37])
def test_flat_tops_are_found_below_clicks_that_came_upon_them(gain):
    x = np.clip(rumble(40000), -0.9, 1.2)
    x[0, 500::2000] = [3, -5] * 10
    found = find_clipping(x * gain)[0]
    assert found.low == pytest.approx(-0.9 * gain, rel=1e-4)
    assert found.high == pytest.approx(1.2 * gain, rel=1e-4)
    assert found.high <= 1.2 * gain
    assert found.low >= -0.9 * gain
    assert found.clipped == pytest.approx(((x <= -0.9) | (x >= 1.2)).sum(), rel=2e-3)


def test_few_samples_lie_beyond_a_top():
    flat, slope = tops(200, 4000), np.linspace(1.1, 2, 1000)
    loud = np.stack([slope, np.full_like(slope, 0.1)], axis=-1).reshape(1, -1)
    several = find_clipping(np.hstack([flat, loud[:, :40]]))[0]
    assert (several.high, several.clipped) == (pytest.approx(1, rel=1e-4), 420)
    assert find_clipping(np.hstack([flat, loud[:, :42]]))[0].high == math.inf


def test_a_wave_that_hardly_passes_between_its_tops_is_square_by_intention():
    square = np.tile([[1.0] * 50 + [-1.0] * 50], 100)
    few, some = square.copy(), square.copy()
    few[0, 50 : 50 + 24 * 100 : 100] = np.linspace(0.6, 0.9, 24)
    some[0, 50 : 50 + 26 * 100 : 100] = np.linspace(0.6, 0.9, 26)
    assert find_clipping(square)[0].clipped == 0
    assert find_clipping(few)[0].high == math.inf
    assert find_clipping(some)[0].high == 1.0


def test_smooth_crests_are_not_clipped_at_any_resolution():
    t = np.arange(100000) / 44100
    for hz in (20, 220.3, 5000):
        for amplitude in (3.0, 3.3, 3.499, 100, 32000):
            x = np.round(amplitude * np.sin(2 * np.pi * hz * t))[None]
            assert find_clipping(x)[0].clipped == 0, (hz, amplitude)
        assert find_clipping(np.sin(2 * np.pi * hz * t)[None])[0].clipped == 0


def test_peaks_brought_to_one_height_are_not_clipped():
    """A limiter's output: each crest is scaled down to touch 1 with one sample."""
    crests = np.hanning(9)[1:-1] * (1 + 1e-9)
    assert find_clipping(np.tile(crests, 500)[None])[0].clipped == 0


@pytest.mark.parametrize(
    "x",
    [
        rumble(20000),
        rng(3).uniform(-1, 1, (1, 20000)),
        np.zeros((1, 1000)),
        np.full((1, 1000), 0.5),
        np.array([[0.5]]),
        np.zeros((1, 0)),
    ],
    ids=["noise", "uniform noise", "silence", "constant", "one sample", "nothing"],
)
def test_no_clipping_is_found_where_there_is_none(x):
    found = find_clipping(x)[0]
    assert (found.low, found.high, found.clipped, found.samples) == (-math.inf, math.inf, 0, x.shape[1])


def test_what_was_counted_below_an_earlier_maximum_still_counts():
    """Ten samples in each of the three intervals below the new maximum, twenty in those further down."""
    slope = np.exp(-1e-4 * (np.arange(1, 1000).repeat([10] * 3 + [20] * 996) - 0.5))
    detector = ClippingDetector(1)
    detector.add(np.stack([slope, np.full_like(slope, 0.1)], axis=-1)[::-1].reshape(1, -1))
    detector.add(tops(89, 1000))
    assert detector.result()[0].confidence == pytest.approx(89 / (89 + 30 + 8), abs=1e-9)
    detector.add(1.5 * tops(89, 1000))
    assert detector.result()[0].confidence == pytest.approx(89 / (89 + 3 + 8), abs=1e-9)


def test_values_are_counted_by_their_ratio_to_the_maximum_whatever_the_blocks():
    """In bins of a ten-thousandth, down to an eighth; the loudest block is neither the first nor the last."""
    x = rumble(5000) * np.repeat([1.0, 0.2, 3.0, 0.5, 2.9], 1000)
    last = np.floor(np.log(x.max()) / RATIO) - DEPTH + 1.5  # the middle of the lowest bin
    x[0, 4900:4902] = np.exp(RATIO * np.array([last, last - 1]))
    detector = ClippingDetector(1)
    for block in np.split(x, 5, axis=1):
        detector.add(block)
    for peaks, side in zip(detector._peaks[0], (-x[0], x[0]), strict=True):
        bins = np.floor(np.log(side[side > 0]) / RATIO).astype(int)
        below = bins.max() - bins
        np.testing.assert_array_equal(peaks.values, np.bincount(below, minlength=DEPTH)[:DEPTH])


@pytest.mark.parametrize("seed", range(3))
def test_clipping_does_not_depend_on_the_blocks(seed):
    x = np.clip(rumble(60000, 2, seed) * np.linspace(0.3, 1, 60000), -0.5, 0.8).astype(np.float32)
    assert in_blocks(ClippingDetector(2), x, seed) == find_clipping(x)


# --- gaps ---------------------------------------------------------------------------------------------

RATE = 10000  # shortest gap 20 samples, longest 20000, edge 20


def tone(n=60000):
    """Every sample has the magnitude 1, so that levels are exact, but for one small quantisation step."""
    x = np.where(np.arange(n) % 2, 1.0, -1.0)[None].copy()
    x[0, -1] = 1e-6
    return x


def test_gaps_are_found_per_channel():
    x = np.vstack([tone(), tone(), tone()])
    x[0, 100:150] = 0
    x[0, 5000:9000] = -0.0
    x[2, 5000:9000] = 0
    found = find_gaps(x, RATE)
    assert [(gap.channel, gap.start, gap.stop) for gap in found] == [
        (0, 100, 150),
        (0, 5000, 9000),
        (2, 5000, 9000),
    ]


@pytest.mark.parametrize(("length", "count"), [(19, 0), (20, 1), (20000, 1), (20001, 0), (35000, 0)])
def test_a_gap_lasts_from_two_milliseconds_to_two_seconds(length, count):
    x = tone()
    x[0, 1000 : 1000 + length] = 0
    assert len(find_gaps(x, RATE)) == count


def test_silence_at_the_ends_of_a_file_is_no_gap():
    x = tone(1000)
    x[0, :100] = x[0, 900:] = 0
    assert find_gaps(x, RATE) == ()


def test_the_end_of_a_file_may_cut_an_edge_short():
    x = tone(1000)
    x[0, 900:990] = 0
    assert [(gap.start, gap.stop) for gap in find_gaps(x, RATE)] == [(900, 990)]


def test_one_sample_of_sound_on_either_side_bounds_a_gap():
    x = np.zeros((1, 102))
    x[0, 0] = x[0, -1] = 1
    x[0, 1:101] = 0
    least = 10.0  # ten quantisation steps, here the only magnitude
    assert find_gaps(x, RATE) == ()
    x[0, 0] = x[0, -1] = 1
    quiet = np.hstack([x, np.full((1, 50), 0.05)])
    assert find_gaps(quiet, RATE)[0].confidence == pytest.approx(1 / (1 + 0.05 * least))


def test_confidence_weighs_the_weaker_edge_against_a_hundredth_of_the_level():
    x = tone()
    x[0, 1000:1100] = 0
    x[0, 1100:1200] = 0.5
    rms = math.sqrt((x**2).sum() / (x != 0).sum())
    assert find_gaps(x, RATE) == (Gap(0, 1000, 1100, pytest.approx(0.5 / (0.5 + 0.01 * rms))),)


@pytest.mark.parametrize("side", [slice(980, 1000), slice(1100, 1120)], ids=["before", "after"])
def test_both_edges_must_be_above_silence(side):
    x = tone()
    x[0, 1000:1100] = 0
    x[0, side] = 0.0102
    assert len(find_gaps(x, RATE)) == 1
    x[0, side] = 0.0098
    assert find_gaps(x, RATE) == ()


@pytest.mark.parametrize("side", [slice(980, 1000), slice(1100, 1120)], ids=["before", "after"])
@pytest.mark.parametrize(("level", "is_sure"), [(0.18, True), (0.175, False)])
def test_one_edge_must_be_loud_for_a_gap_to_be_sure(side, level, is_sure):
    """Else its confidence is that of the louder edge, against the least of it."""
    x = tone()
    x[0, 980:1120] = 0.05
    x[0, side] = level
    x[0, 1000:1100] = 0
    rms = math.sqrt((x**2).sum() / (x != 0).sum())
    expected = 0.05 / (0.05 + 0.01 * rms) if is_sure else level / (level + rms * 10 ** (-15 / 20))
    (gap,) = find_gaps(x, RATE)
    assert gap.confidence == pytest.approx(expected)
    assert (gap.confidence >= 0.5) == is_sure
    told = finding((gap, Gap(0, 9, 14, 0.3)), RATE)
    assert told.facts == {"count": int(is_sure), "seconds": 0.01 * is_sure, "soft_count": 2 - is_sure}
    assert told.confidence == gap.confidence
    if not is_sure:
        assert told.summary == "none, but 2 stretches of digital silence in what is soft"
        assert told.places == ()


@pytest.mark.parametrize("outside", [979, 1120])
def test_an_edge_is_two_milliseconds_long(outside):
    x = tone()
    x[0, 960:1000] = x[0, 1100:1140] = 0.001
    x[0, 1000:1100] = 0
    x[0, [980, 1119]] = 1
    assert len(find_gaps(x, RATE)) == 1
    x[0, [980, 1119]] = 0.001
    x[0, outside] = 1
    assert find_gaps(x, RATE) == ()


def test_the_level_is_that_of_the_sounding_samples():
    """Long silence elsewhere does not lower the bar."""
    x = np.hstack([tone(2000), np.zeros((1, 50000)), tone(2000)])
    x[0, 1000:1100] = 0
    x[0, 1100:1120] = 0.0098
    assert find_gaps(x, RATE) == ()


def test_edges_of_a_few_quantisation_steps_are_natural_silence():
    x = np.full((1, 5000), 9.0)
    x[0, 200] = 1.0
    x[0, 1000:1100] = 0
    assert find_gaps(x, RATE) == ()
    x[0, 990:1110] *= 10 / 9
    x[0, 1000:1100] = 0
    assert find_gaps(x, RATE)[0].confidence == 0.5


def test_neighbouring_gaps_are_told_apart():
    x = tone()
    x[0, 1000:1100] = x[0, 1101:1200] = 0
    assert [(gap.start, gap.stop) for gap in find_gaps(x, RATE)] == [(1000, 1100), (1101, 1200)]


def scattered(seed):
    """Noise with zeros of all lengths anywhere, and quiet places."""
    draw = rng(seed)
    x = draw.standard_normal((2, 90000)) * (draw.random((2, 90000)) > 0.05)
    for length in (2, 19, 20, 21, 500, 500, 19999, 20000, 20001, 30000):
        start = draw.integers(0, 90000)
        x[draw.integers(0, 2), start : start + length] = 0
        quiet = draw.integers(0, 90000)
        x[draw.integers(0, 2), quiet : quiet + 25] *= 1e-3
    return x


def plain_gaps(row):
    """The definition, sample by sample."""
    level = np.abs(row)
    rms = math.sqrt((row**2).sum() / (row != 0).sum())
    least = 0.01 * rms
    found, start = [], None
    for position, value in enumerate(level):
        if value == 0:
            start = position if start is None else start
        elif start is not None:
            edges = [level[max(start - 20, 0) : start].max(initial=0), level[position : position + 20].max()]
            if start > 0 and 20 <= position - start <= 20000 and min(edges) >= least:
                found.append((start, position))
            start = None
    return found


@pytest.mark.parametrize("seed", range(4))
def test_gaps_by_blocks_are_the_gaps_by_definition(seed):
    x = scattered(seed)
    expected = [(channel, *gap) for channel in (0, 1) for gap in plain_gaps(x[channel])]
    assert [(gap.channel, gap.start, gap.stop) for gap in find_gaps(x, RATE)] == expected
    assert in_blocks(GapDetector(2, RATE), x, seed) == find_gaps(x, RATE)


def test_a_gap_whose_edge_ends_with_a_block_is_found_once():
    x = tone(2000)[:, ::-1].copy()  # the first block holds the small step
    x[0, 1000:1100] = 0
    detector = GapDetector(1, RATE)
    for block in np.split(x, [1119, 1120, 1121], axis=1):
        detector.add(block)
    assert detector.result() == find_gaps(x, RATE)


def test_endless_silence_takes_no_memory():
    detector = GapDetector(1, RATE)
    detector.add(tone(100))
    for _ in range(20):
        detector.add(np.zeros((1, 10000)))
    assert len(detector._channels[0].held) <= 20000 + 41
    detector.add(tone(100))
    assert detector.result() == ()


@pytest.mark.parametrize("x", [np.zeros((1, 500)), np.ones((1, 1)), np.zeros((1, 0))])
def test_no_gap_is_found_where_there_is_none(x):
    assert find_gaps(x, RATE) == ()


# --- bandwidth ----------------------------------------------------------------------------------------


def shaped(edges_hz, levels_db, n=200000, rate=44100, seed=0):
    """White noise with a level in dB for each band between these edges: (1, n)."""
    spectrum = np.fft.rfft(rng(seed).standard_normal((1, n)))
    band = np.searchsorted(edges_hz, np.arange(spectrum.shape[1]) * rate / n, side="right")
    return np.fft.irfft(spectrum * 10 ** (np.array(levels_db)[band] / 20), n)


@pytest.mark.parametrize(
    ("rate", "cutoff"),
    [(44100, 3000), (44100, 8000), (44100, 16000), (48000, 20000), (8000, 3400), (192000, 8000)],
)
def test_the_cutoff_of_a_low_pass(rate, cutoff):
    clean = torch.from_numpy(rng().standard_normal((1, 4 * rate)))
    found = find_bandwidth(LowPass(cutoff, rate).forward(clean).numpy(), rate)
    assert found.cutoff_hz == pytest.approx(cutoff, rel=0.015)
    assert (found.rule, found.confidence) == ("edge", 1.0)


@pytest.mark.parametrize("edge_hz", [150, 300])
def test_an_edge_may_lie_few_bins_above_zero(edge_hz):
    found = find_bandwidth(shaped([edge_hz], [0, -60]), 44100)
    assert found.rule == "edge"
    assert found.cutoff_hz == pytest.approx(edge_hz, abs=1.5 * 44100 / 4096)


def test_an_offset_has_no_edge():
    found = find_bandwidth(np.full((1, 20_000), 0.1), 44100)
    assert (found.rule, found.confidence) == ("cumulative", 0.0)


def test_the_cutoff_of_a_resampler():
    narrow = rng().standard_normal(48000)
    found = find_bandwidth(soxr.resample(narrow, 16000, 44100, "VHQ")[None], 44100)
    assert found.cutoff_hz == pytest.approx(8000 * 0.97, rel=0.03)
    assert found.rule == "edge"


@pytest.mark.parametrize("step_db", [12, 16, 35])
def test_the_fall_of_an_edge_and_the_confidence_in_it(step_db):
    found = find_bandwidth(shaped([6000], [0, -step_db]), 44100)
    assert found.rule == "edge"
    assert found.cutoff_hz == pytest.approx(6000, rel=0.01)
    assert found.fall_db == pytest.approx(step_db, abs=0.6)
    assert found.confidence == pytest.approx(min(found.fall_db / 20, 1))
    assert found.cutoff_hz % (44100 / 4096) == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize(("shelf_db", "expected_hz"), [(-5, 6000), (-9, 5800)])
def test_the_cutoff_is_the_half_point_of_the_edge(shelf_db, expected_hz):
    found = find_bandwidth(shaped([5800, 6000], [0, shelf_db, -60], n=800000), 44100)
    assert found.cutoff_hz == pytest.approx(expected_hz, rel=0.005)


def test_the_cutoff_of_a_gentle_slope_lies_near_its_start():
    """Six decibels down on a slope of 120 dB an octave that starts at 5 kHz: 5 kHz · 2^(1/20)."""
    edges = 5000 * 2 ** (np.arange(40) / 40)
    found = find_bandwidth(shaped(edges, [0, *(-3.0 * np.arange(1, 41))]), 44100)
    assert found.cutoff_hz == pytest.approx(5000 * 2**0.05, rel=0.015)


@pytest.mark.parametrize(("lost_db", "expected_hz"), [(10, 8000), (24, 7860), (52, 7550)])
def test_a_filter_within_a_natural_slope_is_found_by_its_cliff(lost_db, expected_hz):
    """A slope from 7 kHz loses so much up to 8 kHz, where a filter takes the rest, 90 dB in all: the cut-off
    lies an eighth down the cliff, below the level of 3 to 7 % before it."""
    edges = np.linspace(7000, 8000, 21)
    x = shaped(edges, [0, *(-lost_db * np.arange(1, 21) / 20), -90], n=400000)
    assert find_bandwidth(x, 44100).cutoff_hz == pytest.approx(expected_hz, rel=0.003)


def test_a_slope_steeper_than_the_cliff_in_it_counts_from_its_start():
    """70 dB lost over two thirds of an octave, 14 dB at once at 8 kHz, which is less than half."""
    edges = 5000 * 2 ** (np.arange(41) / 60)
    steps = -1.4 * np.arange(1, 42) - 14 * (edges >= 8000 - 30)
    found = find_bandwidth(shaped(edges, [0, *steps], n=400000), 44100)
    assert found.cutoff_hz == pytest.approx(5000 * 2 ** (6 / 84), rel=0.02)


TIME_S = np.arange(60_000) / 44100
DITHER = 2**-16 * rng(3).standard_normal(60_000)


def partials(hz, decay=0.0):
    return sum(0.1 * np.sin(2 * np.pi * f * TIME_S + f) * np.exp(-decay * TIME_S) for f in hz)


@pytest.mark.parametrize("dither", [0.0, DITHER])
@pytest.mark.parametrize(
    "x",
    [
        *(partials([hz]) for hz in (20, 97, 251, 398, 1000.3, 9000)),
        partials([220, 277.2, 329.6, 440, 659.3]),
        partials([220, 440, 660], decay=5.0),
        partials(330 * np.arange(1, 13)),
        0.5 * np.sin(2 * np.pi * (100 * TIME_S + 1000 * TIME_S**2)),
        0.5 * np.sin(2 * np.pi * 440 * TIME_S + 5 * np.sin(2 * np.pi * 6 * TIME_S)),
    ],
)
def test_partials_end_without_an_edge(x, dither):
    found = find_bandwidth((x + dither)[None], 44100)
    assert found.rule == "cumulative"
    assert 0 <= found.fall_db < 1


@pytest.mark.parametrize(("valley_db", "rule"), [(4.5, "edge"), (3.0, "cumulative")])
def test_the_valleys_fall_at_an_edge_by_more_than_a_natural_slope(valley_db, rule):
    """Partials of 60 dB over a floor, which falls with them, or hardly does: 6 dB an octave across the edge
    and the skirt of the last partial are 2.6 dB, and 1 dB more is asked."""
    n = 200_000
    x = shaped([6000], [0, -valley_db], n)
    for hz in range(390, 6000, 400):
        x += 30 * np.sin(2 * np.pi * hz * np.arange(n) / 44100 + hz)
    assert find_bandwidth(x, 44100).rule == rule


@pytest.mark.parametrize("hz", [440, 1760])
def test_a_tone_over_brown_noise_has_no_edge(hz):
    n = 200_000
    spectrum = np.fft.rfft(rng().standard_normal(n)) / np.maximum(np.arange(n // 2 + 1), 100)
    noise = np.fft.irfft(spectrum, n)
    x = np.sin(2 * np.pi * hz * np.arange(n) / 44100) + 0.003 * noise / noise.std()
    assert find_bandwidth(x[None], 44100).confidence < 0.5


def test_a_line_has_a_narrow_skirt_in_the_spectrum_of_valleys():
    """Three Hann windows are sin⁶, whose spectrum is zero from the fourth bin on."""
    n = np.arange(4096)
    spectrum = np.fft.rfft(np.sin(2 * np.pi * 500 * n / 4096) * np.sin(np.pi * n / 4096) ** 2)
    expected = np.abs(np.fft.rfft(np.sin(2 * np.pi * 500 * n / 4096) * np.sin(np.pi * n / 4096) ** 6))
    found = bandwidth._without_skirts(spectrum[None])[0]
    np.testing.assert_allclose(found, expected, atol=1e-9)
    assert found[504:].max() < 1e-9 < found[503]


def test_at_the_ends_of_the_spectrum_the_windows_are_those_of_a_real_signal():
    n = np.arange(64)
    x, hann = rng().standard_normal(64), np.sin(np.pi * n / 64) ** 2
    np.testing.assert_allclose(
        bandwidth._without_skirts(np.fft.rfft(x)[None])[0], np.abs(np.fft.rfft(x * hann**2)), atol=1e-12
    )


def test_without_an_edge_the_cumulative_rule_guesses():
    found = find_bandwidth(shaped([6000], [0, -8]), 44100)
    low = 10 ** (-8 / 20)
    assert found.rule == "cumulative"
    assert found.cutoff_hz == pytest.approx(22050 - 0.015 * (6000 + low * 16050) / low, rel=5e-3)
    assert found.confidence == pytest.approx(8 / 20, abs=0.03)


def test_a_hole_in_the_spectrum_is_no_edge():
    assert find_bandwidth(shaped([6000, 9000, 16000], [0, -60, 0, -60]), 44100).cutoff_hz == pytest.approx(
        16000, rel=0.01
    )


@pytest.mark.parametrize(("second_db", "expected_hz"), [(-76, 4000), (-78, 8000)])
def test_a_higher_edge_counts_from_three_tenths_of_the_largest_fall(second_db, expected_hz):
    """The fall of 60 dB measures 58 dB, since the window leaks; 0.3 of it is 17.5 dB."""
    found = find_bandwidth(shaped([4000, 8000], [0, -60, second_db]), 44100)
    assert found.cutoff_hz == pytest.approx(expected_hz, rel=0.01)


@pytest.mark.parametrize(("first_db", "expected_hz"), [(-84, 8000), (-86, 4000)])
def test_what_lies_110_decibels_down_is_rounding_noise(first_db, expected_hz):
    """So the second edge is worth 26 or 24 dB, more or less than three tenths of the first."""
    found = find_bandwidth(shaped([4000, 8000], [0, first_db, -150]), 44100)
    assert found.cutoff_hz == pytest.approx(expected_hz, rel=0.01)


@pytest.mark.parametrize(("step_db", "rule"), [(9.8, "cumulative"), (10.8, "edge")])
def test_an_edge_falls_by_ten_decibels(step_db, rule):
    assert find_bandwidth(shaped([6000], [0, -step_db]), 44100).rule == rule


@pytest.mark.parametrize(("share", "expected_hz"), [(0.045, 5000), (0.055, 15000)])
def test_what_sounds_now_and_then_counts_and_a_click_does_not(share, expected_hz):
    n = 800000
    dull, bright = shaped([5000], [0, -60], n), shaped([15000], [0, -60], n, seed=1)
    bright[:, int(share * n) :] = 0
    assert find_bandwidth(dull + bright, 44100).cutoff_hz == pytest.approx(expected_hz, rel=0.01)


def test_the_wider_channel_decides():
    x = np.vstack([shaped([5000], [0, -60]), shaped([12000], [0, -60], seed=1)])
    assert find_bandwidth(x, 44100).cutoff_hz == pytest.approx(12000, rel=0.01)


def test_digital_silence_does_not_count_as_frames():
    x = np.hstack([shaped([5000], [0, -60], 60000), np.zeros((1, 3000000))])
    assert find_bandwidth(x, 44100).cutoff_hz == pytest.approx(5000, rel=0.01)


@pytest.mark.parametrize("x", [np.zeros((2, 100000)), np.zeros((1, 10)), np.zeros((1, 0))])
def test_silence_has_the_full_band_and_no_confidence(x):
    found = find_bandwidth(x, 44100)
    assert (found.cutoff_hz, found.rule, found.confidence) == (22050, "cumulative", 0)


@pytest.mark.parametrize("n", [1, 300, 4000])
def test_a_sound_shorter_than_a_frame_has_an_answer(n):
    found = find_bandwidth(shaped([5000], [0, 0], n), 44100)
    assert 15000 < found.cutoff_hz <= 22050


def test_a_short_sound_after_silence_is_not_lost():
    x = np.hstack([np.zeros((1, 8192)), shaped([6000], [0, -60], 4000)])[:, : 8192 + 2000]
    detector = BandwidthDetector(1, 44100)
    detector.add(np.zeros((1, 8192)))
    detector.add(x[:, 8192:])
    assert detector.result().cutoff_hz == pytest.approx(6000, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_bandwidth_does_not_depend_on_the_blocks(seed):
    x = np.vstack([shaped([5000], [0, -30], 70000, seed=seed), shaped([5000], [0, -30], 70000, seed=9)])
    blocks, whole = in_blocks(BandwidthDetector(2, 44100), x, seed), find_bandwidth(x, 44100)
    assert blocks == whole
