"""Clicks: found where they are, drums left alone, and nothing else touched by the verb that removes them."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy.signal import butter, sosfilt

import audiomend
from audiomend.detect.clicks import (
    NARROW_THRESHOLD,
    THRESHOLD,
    Click,
    ClickDetector,
    _apart_from_waves,
    _bounded,
    _onset,
    _unforetold,
    find_clicks,
    finding,
)
from audiomend.errors import UsageError
from audiomend.operators.low_pass import LowPass
from audiomend.restorers import locate
from audiomend.restorers.locate import Given, search

RATE = 44_100
Floats = np.ndarray
Wave = Callable[[Floats], Floats]


def music(seconds: float = 1.5, seed: int = 0) -> Floats:
    """Decaying partials over a little noise."""
    random = np.random.default_rng(seed)
    t = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * f * t + f) / (1 + k) for k, f in enumerate((220, 441, 665, 1330, 2661)))
    return 0.2 * tone * np.exp(-t) + 0.002 * random.standard_normal(len(t))


def drums(seconds: float = 1.5, seed: int = 0) -> Floats:
    """Bursts of noise that begin from one sample to the next and ring on for some 30 ms."""
    random = np.random.default_rng(seed)
    x = 0.001 * random.standard_normal(round(seconds * RATE))
    for start in range(4000, len(x) - 9000, 7000):
        n = np.arange(9000)
        x[start : start + 9000] += 0.5 * random.standard_normal(9000) * np.exp(-n / 1300)
    return x


def clicked(x: Floats, places: list[tuple[int, int]], level: float = 0.1, seed: int = 1) -> Floats:
    random = np.random.default_rng(seed)
    y = x.copy()
    for start, length in places:
        y[start : start + length] += level * random.choice([-1, 1], length) * random.uniform(0.6, 1, length)
    return y


PLACES = [(5000, 1), (12_001, 3), (20_480, 20), (30_000, 60), (41_000, 2), (55_555, 8)]


def rounded_to(step: float) -> Floats:
    """A rumble as loud as the step of the grid it is on, with a click."""
    low = butter(2, 100, fs=RATE, output="sos")
    rumble = sosfilt(low, np.random.default_rng(2).standard_normal(2 * RATE))
    rumble *= step / rumble.std()
    return np.rint(clicked(rumble, [(20_000, 4)], level=60 * step) / step)[None] * step


def test_what_rounding_adds_is_no_click():
    (found,) = find_clicks(rounded_to(2.0**-8), RATE)
    assert found.start in range(19_995, 20_001)
    assert found.stop in range(20_004, 20_010)


def test_the_noise_of_rounding_may_be_told_where_the_samples_no_longer_tell_it():
    step, x = 2.0**-8, rounded_to(2.0**-8)
    off_grid = x + 1e-6 * np.random.default_rng(3).standard_normal(x.shape)
    told, untold = ClickDetector(1, RATE, step**2 / 12), ClickDetector(1, RATE)
    for detector in (told, untold):
        detector.add(off_grid)
    on_grid = find_clicks(x, RATE)
    assert [(k.start, k.stop) for k in told.result()] == [(k.start, k.stop) for k in on_grid]
    assert [k.confidence for k in told.result()] == pytest.approx([k.confidence for k in on_grid], abs=1e-2)
    assert len(untold.result()) > 1


@pytest.mark.parametrize(("level", "count"), [(1e-6, 0), (1e-4, 1)])
def test_what_is_softer_than_rounding_to_16_bits_is_no_click(level: float, count: int) -> None:
    """Its step is 3e-5, and ten deviations of that rounding are 9e-5."""
    noise = np.random.default_rng(4).standard_normal(RATE)
    noise[20_000:20_003] += 60
    assert len(find_clicks(level * noise[None], RATE)) == count


def test_a_step_of_the_grid_is_foretold_beside_silence_and_two_are_not() -> None:
    """Five deviations of rounding are 1.44 steps."""
    x = torch.zeros(1, 560, dtype=torch.float64)
    x[0, [540, 545, 550, 555]] = torch.tensor([1.0, -1.0, 2.0, -2.0], dtype=torch.float64)
    assert np.flatnonzero(_unforetold(x, 529, noise=1 / 12)).tolist() == [550 - 529, 555 - 529]


def test_a_click_that_either_side_bounds_beyond_the_other_has_a_sample() -> None:
    """What is before a step foretells its last sample, what is after it the first."""
    x = np.zeros((1, 4096))
    x[0, 2001:] = 1
    starts, stops = _bounded(x, np.array([2000]), np.array([2002]), RATE, noise=1e-10)
    assert (starts.tolist(), stops.tolist()) == ([2000], [2001])


def test_clicks_are_found_at_their_ends():
    found = find_clicks(clicked(music(), PLACES)[None], RATE)
    assert len(found) == len(PLACES)
    for click, (start, length) in zip(found, PLACES, strict=True):
        assert click.channel == 0
        skirt = 2 + length  # a long and loud one is part of what the model was fitted to
        assert start - skirt <= click.start <= start + length // 4
        assert start + length - length // 4 <= click.stop <= start + length + skirt
        assert 0.5 <= click.confidence < 1


def test_crackle_far_below_the_sound_is_found():
    """Single samples 15 dB below the peak of the tones, which the model takes away."""
    places = [(3000 + 997 * k, 1) for k in range(50)]
    found = find_clicks(clicked(music(), places, level=0.05)[None], RATE)
    assert sum(any(c.start <= start < c.stop for c in found) for start, _ in places) >= 48
    assert len(found) <= 50


def test_nothing_is_found_in_music_noise_silence_and_drums():
    noise = 0.1 * np.random.default_rng(3).standard_normal(2 * RATE)
    rounding = 2.0**-15 * (np.arange(RATE) % 2000 == 77)  # what is left of a fade to silence
    for x in (music(), noise, np.zeros(RATE), drums(), noise[:3000], np.ones(RATE), rounding):
        assert find_clicks(x[None], RATE) == ()


@pytest.mark.parametrize("hz", [55, 220, 440, 1234.5])
@pytest.mark.parametrize(
    "wave", [lambda phase: np.sign(np.sin(phase)), lambda phase: phase / np.pi % 2 - 1], ids=["square", "saw"]
)
def test_the_jumps_of_a_wave_are_no_clicks(wave: Wave, hz: float):
    x = 0.3 * wave(2 * np.pi * hz * np.arange(RATE) / RATE + 0.1)
    assert not find_clicks(x[None], RATE)


@pytest.mark.parametrize(
    ("places", "left"),
    [
        ([0, 100, 200, 300, 400], []),
        ([0, 100, 200, 300], [0, 100, 200, 300]),
        ([0, 104, 198, 300, 400], []),  # uneven by a tenth of a millisecond
        ([0, 105, 200, 300, 400], [0, 105, 200, 300, 400]),
        ([0, 100, 150, 200, 300, 400], []),  # what is near to a jump is not told from it
        ([0, 100, 200, 300, 400, 1270], []),
        ([0, 100, 200, 300, 400, 1290], [1290]),
        ([0, 880, 1760, 2640, 3520], []),  # 20 ms apart
        ([0, 890, 1780, 2670, 3560], [0, 890, 1780, 2670, 3560]),
        ([0, 100, 200, 700, 800, 900], [0, 100, 200, 700, 800, 900]),
        (
            [0, 890, 1780, 2670, 3560, 9000, 9100, 9200, 9300, 9400],
            [0, 890, 1780, 2670, 3560],
        ),
    ],
)
def test_a_wave_jumps_five_times_in_a_row(places: list[int], left: list[int]):
    both = [Click(channel, at, at + 2, 0.7) for channel in (0, 1) for at in places]
    found = _apart_from_waves(both, RATE)
    assert [(one.channel, one.start) for one in found] == [(channel, at) for channel in (0, 1) for at in left]
    turns = [Click(k % 2, at, at + 2, 0.7) for k, at in enumerate(places)]
    assert len(_apart_from_waves(turns, RATE)) == len(turns)  # channels do not make one row


def test_a_clear_click_in_a_minute_is_enough():
    """What a click has above 0.75, as a share of 0.25, counts; in a sound of a minute half of it."""
    clear = tuple(Click(0, k, k + 2, 0.85) for k in (100, 300, 900))
    for seconds, weight in ((0.0, 1.2), (30.0, 0.8), (60.0, 0.6)):
        found = finding(clear, seconds, RATE, is_clipped=False)
        assert found.confidence == pytest.approx(np.interp(weight, [0, 0.5, 2], [0, 0.5, 1]))
    assert finding(clear, 60.0, 16_000, is_clipped=False).confidence == pytest.approx(
        np.interp(3 * 0.25 / 0.4 / 2, [0, 0.5, 2], [0, 0.5, 1])
    )


def test_a_click_between_drums_is_found_and_the_drums_are_not():
    places = [(7500, 4), (21_400, 10)]
    found = find_clicks(clicked(drums(), places, level=0.9)[None], RATE)
    assert [(c.start - s, c.stop - c.start >= n) for c, (s, n) in zip(found, places, strict=True)] == [
        (0, True),
        (0, True),
    ]


def test_what_lasts_longer_than_2_ms_is_no_click():
    assert len(find_clicks(clicked(music(), [(20_000, 75)])[None], RATE)) == 1
    assert find_clicks(clicked(music(), [(20_000, 120)])[None], RATE) == ()


def test_it_stands_out_by_as_much_on_both_sides():
    """White noise whitens to itself: the excess of a single sample is its level over the deviation."""
    random = np.random.default_rng(5)
    x = 0.01 * random.standard_normal(RATE)
    for least, rate in ((THRESHOLD, 44_100), (NARROW_THRESHOLD, 16_000)):
        for factor, found in ((0.6, 0), (1.6, 1)):
            y = x.copy()
            y[20_000] = factor * least * 0.01
            clicks = find_clicks(y[None], rate)
            assert len(clicks) == found
            if found:
                assert clicks[0].confidence == pytest.approx(factor / (1 + factor), abs=0.05)
    louder = x * np.where(np.arange(RATE) < 20_000, 0.1, 1)
    for y in (louder, louder[::-1]):
        z = y.copy()
        z[20_000] = 5 * 0.01 * np.sign(z[20_000])  # 50 deviations of the quiet side, 5 of the loud one
        assert find_clicks(z[None], RATE) == ()


def test_level_and_channels_do_not_matter():
    x = clicked(music(), PLACES)
    for gain in (1e-2, 3.0):
        found = find_clicks(np.stack([gain * x, -gain * x[::-1], music()]), RATE)
        first = np.array([(c.start, c.stop) for c in found if c.channel == 0])
        expected = np.array([(c.start, c.stop) for c in find_clicks(x[None], RATE)])
        assert np.abs(first - expected).max() <= 3  # rounding to 16 bits is of one level
        mirrored = [(len(x) - c.stop, len(x) - c.start) for c in found if c.channel == 1]
        assert np.abs(np.array(mirrored[::-1]) - first).max() <= 3
        assert not any(c.channel == 2 for c in found)


@pytest.mark.parametrize("sizes", [1000, 4096, 30_011])
def test_blocks_do_not_matter(sizes: int):
    x = np.stack([clicked(music(), PLACES), clicked(drums(), PLACES, seed=4)])
    detector = ClickDetector(2, RATE)
    for start in range(0, x.shape[1], sizes):
        detector.add(x[:, start : start + sizes])
        detector.result()  # does not disturb what follows
    assert detector.result() == find_clicks(x, RATE)


def test_the_ends_of_a_file_are_no_clicks():
    for x in (np.full(RATE, 0.5), music() + 0.3, 0.1 * np.random.default_rng(8).standard_normal(9001)):
        assert find_clicks(x[None], RATE) == ()
    y = music()
    y[400] += 0.2
    y[-400] += 0.2
    first, last = find_clicks(y[None], RATE)
    assert first.start <= 400 < first.stop < 415
    assert last.start <= len(y) - 400 < last.stop < len(y) - 385


@pytest.mark.parametrize("rate", [8000, 22_050, 48_000, 96_000])
def test_at_every_rate(rate: int):
    t = np.arange(2 * rate) / rate
    x = 0.3 * np.sin(2 * np.pi * 330 * t) + 0.001 * np.random.default_rng(0).standard_normal(len(t))
    assert find_clicks(x[None], rate) == ()
    x[rate] += 0.3
    (click,) = find_clicks(x[None], rate)
    assert click.start <= rate < click.stop


def test_the_verb_removes_clicks_and_nothing_else():
    clean = np.stack([music(), music(seed=2)])
    y = clean.copy()
    y[0] = clicked(clean[0], PLACES)
    mended = audiomend.declick(y, RATE)
    np.testing.assert_array_equal(mended[1], clean[1])
    near = np.zeros(y.shape[1], bool)
    for start, length in PLACES:
        near[start - 3 - length : start + 2 * length + 3] = True
    np.testing.assert_array_equal(mended[0, ~near], y[0, ~near])
    assert np.linalg.norm((mended - clean)[0, near]) < 0.1 * np.linalg.norm((y - clean)[0, near])
    np.testing.assert_array_equal(audiomend.declick(clean, RATE), clean)


def test_its_methods_are_named_and_none_is_the_prior():
    y = clicked(music(), PLACES)
    np.testing.assert_array_equal(audiomend.declick(y, RATE, method="ar"), audiomend.declick(y, RATE))
    for name in ("diffusion", "at"):
        with pytest.raises(UsageError, match=f"The method {name} is unknown; it is one of auto, ar\\."):
            audiomend.declick(y, RATE, method=name)
    with pytest.raises(UsageError, match=r"Did you mean auto\?"):
        audiomend.declick(y, RATE, method="aut")


@pytest.mark.parametrize("level", [0.2, 9.0])
def test_that_a_clipped_sound_is_to_be_declipped_first_is_told(level: float) -> None:
    y = clicked(np.clip(3 * music(), -level, level), PLACES, level=0.1)
    looked = search("declick", Given(), RATE, 1)
    for accumulator in looked.accumulators:
        accumulator.add(np.clip(y, -level, level)[None])
    summary = looked.conclude().summary
    assert "clicks, the longest of" in summary
    assert ("declip it first" in summary) == (level < 1)


def test_what_is_lost_is_a_sample_more_on_either_side() -> None:
    found = [Click(0, 0, 2, 0.9), Click(0, 10, 12, 0.9), Click(0, 13, 15, 0.9), Click(1, 20, 24, 0.9)]
    lost = locate.clicked(found, RATE, 2)
    assert lost.gaps == (((0, 3), (9, 16)), ((19, 25),))
    assert lost.severity == 7 / RATE


def test_the_longest_click_is_told_in_milliseconds() -> None:
    looked = search("declick", Given(), RATE, 1)
    for accumulator in looked.accumulators:
        accumulator.add(clicked(music(), [(20_480, 20), (40_000, 2)])[None])
    summary = looked.conclude().summary
    assert summary in ("2 clicks, the longest of 0.5 ms", "2 clicks, the longest of 0.6 ms")


def test_half_the_strength_is_half_of_the_change_and_regions_hold():
    y = clicked(music(), PLACES)
    whole, half = audiomend.declick(y, RATE), audiomend.declick(y, RATE, strength=0.5)
    np.testing.assert_allclose(half - y, (whole - y) / 2, atol=1e-12)
    part = audiomend.declick(y, RATE, regions=[(0.2, 0.5)])
    inside = slice(round(0.2 * RATE), round(0.5 * RATE))
    np.testing.assert_array_equal(part[inside], whole[inside])
    outside = np.delete(np.arange(len(y)), inside)
    np.testing.assert_array_equal(part[outside], y[outside])


def test_parts_of_a_long_file_are_the_whole():
    x = np.concatenate([music(seed=k) for k in range(4)])
    places = [(3000 + 1201 * k, 2 + k % 9) for k in range(200)]
    y = clicked(x, places)
    blocks = [y[None, a:b] for a, b in pairwise([0, 50_000, 100_003, len(y)])]
    streamed = np.concatenate(list(audiomend.mend_blocks("declick", blocks, RATE)), axis=1)[0]
    whole = audiomend.declick(y, RATE)
    assert np.abs(streamed - whole).max() < 1e-6
    assert np.linalg.norm(whole - x) < 0.2 * np.linalg.norm(y - x)


def dull(seconds: float = 1.0, seed: int = 0) -> np.ndarray:
    """Noise below a fifth of the rate: a model of it is sure of the next sample to 60 dB and more."""
    noise = np.random.default_rng(seed).standard_normal((1, round(seconds * RATE)))
    return 0.1 * LowPass(0.2 * RATE, RATE).forward(torch.from_numpy(noise))[0].numpy()


@pytest.mark.parametrize("flipped", [False, True])
def test_on_a_dull_sound_a_click_ends_with_its_softest_sample(flipped: bool) -> None:
    """40 samples that fall to a hundredth of the first, or rise from there: all of them, and none besides."""
    shape = 0.3 * 0.01 ** (np.arange(40) / 39) * np.where(np.arange(40) % 2, -1, 1)
    y = dull()
    y[20_000:20_040] += shape[::-1] if flipped else shape
    (click,) = find_clicks(y[None], RATE)
    assert (abs(click.start - 20_000), abs(click.stop - 20_040)) <= (1, 1)


def test_on_a_dull_sound_a_click_of_one_sample_is_no_longer() -> None:
    y = dull()
    y[20_000] += 0.1
    (click,) = find_clicks(y[None], RATE)
    assert click.start <= 20_000 < click.stop <= click.start + 3


@pytest.mark.parametrize(
    ("places", "onset"),
    [
        ([12, 13], 2),  # later than the run's first sample
        ([10], 0),
        ([12, 9, 6], -4),  # through pauses of 3 and less
        ([12, 9, 5], -1),  # not through one of 4
        ([12, 9, 6, 4], -6),
        ([12, 9, 6, 3], 2),  # to the very end: something else sounds there
        ([16, 8], -2),  # nothing inside the run of 5
        ([], 0),
    ],
)
def test_a_run_begins_where_samples_that_are_not_foretold_begin(places: list[int], onset: int) -> None:
    unforetold = np.zeros(20, bool)
    unforetold[places] = True
    assert _onset(unforetold, tail=10, length=5, join=3) == onset
