"""The band above a cut-off, copied from below: levels along the envelope, positions, silence."""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.classical import replication
from audiomend.classical.replication import (
    CHANGE_HOPS,
    DRAWN_SAMPLE,
    LINE,
    changing,
    drawn,
    reach,
    replicated,
)
from audiomend.noise import normal
from audiomend.operators.low_pass import LowPass

RATE, CUTOFF = 16_000, 2000.0
WINDOW = 744  # 46.4 ms
BIAS = -1.7  # dB of noise: the mean of the logarithm of power over three frames lies below that of the power


def coloured(slope: float, seconds: float = 2.0, rate: int = RATE, seed: int = 0) -> Tensor:
    """Noise, flat to 500 Hz, then changing by slope dB per octave; faded at its ends."""
    rng = np.random.default_rng(seed)
    frames = round(seconds * rate)
    octaves = np.log2(np.maximum(np.fft.rfftfreq(frames, 1 / rate) / 500, 1))
    spectrum = np.fft.rfft(rng.standard_normal(frames)) * 10 ** (slope * octaves / 20)
    return torch.from_numpy(np.fft.irfft(spectrum, frames) * np.hanning(frames))[None]


def level(x: Tensor, low: float, high: float, rate: int = RATE) -> float:
    """dB of the mean power in a band."""
    power = torch.fft.rfft(x.double()).abs().square()
    frequency = torch.fft.rfftfreq(x.shape[-1], 1 / rate)
    return 10 * math.log10(float(power[..., (frequency >= low) & (frequency < high)].mean()) + 1e-300)


@pytest.mark.parametrize("slope", [-24.0, -28.0, -34.0])
def test_the_envelope_goes_on_as_it_fell(slope: float) -> None:
    clean = coloured(slope)
    band = replicated(LowPass(CUTOFF, RATE).forward(clean), RATE, CUTOFF)
    for low in (2000, 2500, 3200, 4000, 5600):
        expected = level(clean, low, 1.2 * low) + BIAS
        assert level(band, low, 1.2 * low) == pytest.approx(expected, abs=3.0), low


@pytest.mark.parametrize(("slope", "continued"), [(0.0, -24.0), (-9.0, -24.0), (-50.0, -50.0)])
def test_the_band_falls_by_24_decibels_per_octave_or_more(slope: float, continued: float) -> None:
    band = replicated(coloured(slope), RATE, CUTOFF)
    frames = torch.stft(band, WINDOW, window=torch.hann_window(WINDOW, dtype=band.dtype), return_complex=True)
    power = 10 * frames[0, :, 20:-20].abs().square().log10().mean(-1)  # every frame has a slope of its own
    bins = [round(hz * WINDOW / RATE) for hz in (2400, 2800, 4800, 5600)]
    fall = power[bins[2] : bins[3]].mean() - power[bins[0] : bins[1]].mean()
    assert fall.item() == pytest.approx(continued, abs=2.5)
    edge = level(band, 2000, 2050) - level(coloured(slope), 1750, 1800)
    between = math.log2(2025 / 1775) * slope + math.log2(2025 / 2000) * (continued - slope)
    assert edge == pytest.approx(between + BIAS, abs=2.0)


def test_a_rising_band_rises_to_the_cut_off() -> None:
    """As hissing sounds of speech do; from there on it falls."""
    clean = coloured(12.0)
    band = replicated(LowPass(CUTOFF, RATE).forward(clean), RATE, CUTOFF)
    edge = level(clean, 1990, 2010) + BIAS
    for octaves in (0.05, 0.5, 1.0):
        place = CUTOFF * 2**octaves
        found = level(band, 0.98 * place, 1.02 * place)
        assert found == pytest.approx(edge - 24 * octaves, abs=2.5)


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_the_band_is_the_same_at_every_rate(rate: int) -> None:
    clean = coloured(-24.0, rate=rate)
    band = replicated(clean, rate, CUTOFF)
    for low in (2000, 3000):
        expected = level(clean, low, low + 800, rate) + BIAS
        assert level(band, low, low + 800, rate) == pytest.approx(expected, abs=1.5)


def test_a_steep_low_pass_and_the_band_make_no_hole_and_no_hill() -> None:
    clean = coloured(-24.0, seconds=8.0)
    damaged = LowPass(CUTOFF, RATE).forward(clean)
    whole = damaged + replicated(damaged, RATE, CUTOFF)
    for low in np.arange(1500, 2600, 25.0):
        assert level(whole, low, low + 25) - level(clean, low, low + 25) == pytest.approx(0, abs=2.5), low


def test_nothing_below_the_cross_over_is_added() -> None:
    clean = coloured(-24.0)
    band = replicated(clean, RATE, CUTOFF)
    leakage = level(band, 20, 0.88 * CUTOFF) - level(band, CUTOFF, 1.1 * CUTOFF)
    assert leakage < -50


def test_partials_of_the_source_are_levelled() -> None:
    """Copied as they are they would stand 30 dB out of the noise, where the clean sound has none."""
    t = torch.arange(2 * RATE) / RATE
    x = coloured(-24.0) + 0.03 * torch.sin(2 * torch.pi * 1500 * t) * torch.hann_window(2 * RATE)
    band = replicated(LowPass(CUTOFF, RATE).forward(x), RATE, CUTOFF)
    assert level(x, 1490, 1510) - level(coloured(-24.0), 1490, 1510) > 25
    for low in range(2050, 5000, 50):
        assert level(band, low, low + 20) - level(coloured(-24.0), low, low + 20) < 12


def test_a_sound_that_ends_by_nature_goes_on_to_end() -> None:
    """Falling by 100 dB per octave through the cut-off, with a floor 70 dB down."""
    clean = coloured(0.0) * 3e-4 + coloured(-100.0, seed=1)
    band = replicated(LowPass(CUTOFF, RATE).forward(clean), RATE, CUTOFF)
    for low in (2000, 2500, 4000):
        assert level(band, low, 1.1 * low) < level(clean, low, 1.1 * low) + 3


@pytest.mark.parametrize("cut", [1, 333, 5000])
def test_stretches_hold_the_samples_of_the_whole(cut: int) -> None:
    x = coloured(-24.0)[:, :20_001] * torch.linspace(0, 1, 20_001)
    whole, margin = replicated(x, RATE, CUTOFF), reach(RATE)
    padded = torch.nn.functional.pad(x, (margin, margin))
    for start, stop in itertools.pairwise([0, cut, cut + 7000, x.shape[1]]):
        stretch = replicated(padded[:, start : stop + 2 * margin], RATE, CUTOFF, start - margin)
        torch.testing.assert_close(
            stretch[:, margin : margin + stop - start], whole[:, start:stop], rtol=0, atol=1e-12
        )


def test_the_band_depends_on_no_more_than_its_reach() -> None:
    x = coloured(-24.0)
    other = x.clone()
    place, margin = 16_000, reach(RATE)
    other[:, place:] = 0
    difference = (replicated(x, RATE, CUTOFF) - replicated(other, RATE, CUTOFF))[0]
    assert difference[: place - margin].abs().max() < 1e-12
    assert difference[place - margin + WINDOW // 2 : place].abs().max() > 1e-6


@pytest.mark.parametrize("place", [5000, 5100, 5431])
def test_a_click_stays_a_click(place: int) -> None:
    x = torch.zeros(1, 12_000)
    x[0, place] = 1.0
    band = replicated(x, RATE, CUTOFF)[0].square()
    assert band[: place - WINDOW].sum() + band[place + WINDOW + 1 :].sum() == 0
    assert band[place - 32 : place + 33].sum() > 0.9 * band.sum() > 0


def test_no_frame_is_louder_above_the_cutoff_than_below() -> None:
    rng = np.random.default_rng(3)
    bursts = (
        coloured(-12.0, seconds=4.0)[0]
        * torch.from_numpy(10 ** rng.uniform(-6, 0, 86)).repeat_interleave(745)[:64_000]
    )
    x = LowPass(CUTOFF, RATE).forward(bursts)
    band = replicated(x, RATE, CUTOFF)
    for start in range(0, 64_000 - 2 * WINDOW, WINDOW):
        around = x[max(start - WINDOW, 0) : start + 2 * WINDOW].square().max()
        assert band[start : start + WINDOW].square().max() <= around


def test_the_level_is_a_factor_and_rows_are_their_own() -> None:
    x = torch.cat([coloured(-24.0, seed=seed) for seed in (1, 2)])
    both = replicated(x, RATE, CUTOFF)
    torch.testing.assert_close(replicated(x * 2.0**-20, RATE, CUTOFF) * 2.0**20, both, rtol=1e-7, atol=0)
    torch.testing.assert_close(replicated(x[1:], RATE, CUTOFF), both[1:], rtol=1e-12, atol=1e-12)
    assert replicated(x.float(), RATE, CUTOFF).dtype == torch.float32


@pytest.mark.parametrize(
    "x",
    [
        torch.ones(1, 5000),
        torch.full((1, 3000), 1e-30),
        torch.eye(3, 4000) * 1e30,
        torch.rand(2, 1),
        torch.rand(1, 0),
    ],
    ids=["constant", "faint", "loud", "sample", "empty"],
)
@pytest.mark.parametrize("cutoff_hz", [20.0, 100.0, 2000.0, 7990.0])
def test_finite_in_finite_out(x: Tensor, cutoff_hz: float) -> None:
    band = replicated(x, RATE, cutoff_hz)
    assert band.shape == x.shape
    assert band.isfinite().all()


def test_silence_stays_silence() -> None:
    assert not replicated(torch.zeros(2, 9000), RATE, CUTOFF).any()


def test_what_frames_cannot_resolve_is_left_empty() -> None:
    assert not replicated(coloured(-24.0), RATE, 180.0).any()
    assert replicated(coloured(-24.0), RATE, 190.0).any()
    assert not replicated(coloured(-24.0), RATE, 0.6 * RATE).any()  # nor is there a band above half the rate


def by_definition(x: np.ndarray, rate: float, cutoff: float) -> np.ndarray:
    """(time,): frame by frame and bin by bin."""
    window = 4 * round(512 / 44_100 * rate)
    hop, bins, c = window // 4, window // 2 + 1, cutoff * window / rate
    hann = np.sin(np.pi * np.arange(window) / window) ** 2
    count = len(x) // hop + 4
    padded = np.concatenate([np.zeros(3 * hop), x, np.zeros(2 * window)])
    spectra = [np.fft.rfft(padded[n * hop : n * hop + window] * hann) for n in range(count)]
    known = np.arange(math.ceil(0.5 * c), math.ceil(0.96 * c))
    top = math.ceil(0.92 * c)
    width = 4 * int((0.92 - 0.46) * c / 4)
    out = np.zeros(len(padded))
    for n in range(1, count - 1):
        power = sum(np.abs(spectra[k]) ** 2 for k in (n - 1, n, n + 1)) / 3
        line = np.polyfit(np.log2(known / c), 10 * np.log10(power[known]), 1, w=known**-0.5)
        slope, edge = line[0], np.polyval(line, 0)
        new = np.zeros(bins, complex)
        for f in range(math.ceil(0.95 * c), bins):
            g = top - width + (f - top) % width
            magnitude = 10 ** ((edge + min(slope, -24) * np.log2(f / c)) / 20)
            rise = np.sin(np.pi / 2 * min((f / c - 0.95) / 0.05, 1))
            new[f] = spectra[n][g] / np.sqrt(power[g]) * magnitude * rise
        out[n * hop : n * hop + window] += np.fft.irfft(new, window) * hann / 1.5
    return out[3 * hop : 3 * hop + len(x)]


@pytest.mark.parametrize(("rate", "cutoff"), [(8000, 1500.0), (44_100, 3000.0)])
def test_it_is_what_the_definition_gives(rate: int, cutoff: float) -> None:
    x = np.random.default_rng(4).standard_normal(rate // 4)
    inner = slice(rate // 16, -rate // 16)  # frames without any sound have no slope
    band = replicated(torch.from_numpy(x), rate, cutoff).numpy()
    expected = by_definition(x, rate, cutoff)
    np.testing.assert_allclose(band[inner], expected[inner], rtol=1e-5, atol=1e-6)


# --- Drawn bands ------------------------------------------------------------------------------------------


def test_drawn_levels_follow_their_distribution() -> None:
    """The line of flat noise is its power less the 1.7 dB; medians over frames, whose changes are 6 dB."""
    clean = LowPass(CUTOFF, RATE).forward(coloured(0.0, seconds=2.0))
    edge = level(coloured(0.0, seconds=2.0), 1000, 1900) + BIAS
    places = (2200.0, 4000.0, 7800.0)
    found = np.array(
        [
            [level(drawn(clean, RATE, CUTOFF, seed), 0.97 * f, 1.03 * f) - edge for f in places]
            for seed in range(60)
        ]
    )
    octaves = np.log2(np.array(places) / CUTOFF)
    changing = 10 * math.log10(
        math.exp((6 * math.log(10) / 10) ** 2 / 2)
    )  # of the mean power over the median
    expected = 3 - 11 * octaves
    deviation = np.sqrt(6**2 + (5 * octaves) ** 2)
    z = np.array([normal(seed, DRAWN_SAMPLE, 0, LINE, 0, 2) for seed in range(60)])
    own = expected + 6 * z[:, :1] + 5 * z[:, 1:] * octaves
    np.testing.assert_allclose((found - own).mean(0), changing, rtol=0, atol=0.6)
    np.testing.assert_allclose(found.std(axis=0), deviation, rtol=0.35)
    slopes = (found[:, 2] - found[:, 0]) / (octaves[2] - octaves[0])
    assert slopes.mean() == pytest.approx(-11, abs=1.5)
    assert slopes.std() == pytest.approx(5, abs=1.2)


def test_drawn_levels_change_with_time() -> None:
    """Frames 93 ms and more apart are independent, the deviation is 6 dB."""
    clean = LowPass(CUTOFF, RATE).forward(
        torch.from_numpy(np.random.default_rng(1).standard_normal((1, 160_000)))
    )
    band = drawn(clean, RATE, CUTOFF, 3)
    window = torch.hann_window(WINDOW, dtype=band.dtype)
    spectrum = torch.stft(band, WINDOW, WINDOW // 4, window=window, return_complex=True)[0, 100:250]
    levels = 10 * spectrum.abs().square().mean(0).log10()
    assert levels.std().item() == pytest.approx(6, abs=1.0)
    centred = levels - levels.mean()
    for lag, expected in ((2, 0.9), (8, 0.25), (20, 0.0)):
        correlation = (centred[lag:] * centred[:-lag]).mean() / centred.square().mean()
        assert correlation.item() == pytest.approx(expected, abs=0.2), lag


def test_what_changes_a_frame_is_heard_in_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sixty decibels in one frame: the band is there what it is, hardly anything elsewhere."""

    def one(seed: int, first: int, count: int) -> Tensor:
        return 10.0 * (torch.arange(first, first + count) == 20)

    monkeypatch.setattr(replication, "changing", one)
    band = drawn(coloured(0.0, 1.0), RATE, CUTOFF, 3)[0].square()
    begin = 20 * WINDOW // 4
    assert band[begin : begin + WINDOW].sum() > 0.999 * band.sum()


def test_what_changes_has_unit_variance_at_every_frame() -> None:
    found = changing(5, -3 * CHANGE_HOPS, 4000 * CHANGE_HOPS)
    torch.testing.assert_close(found[1000:1100], changing(5, 1000 - 3 * CHANGE_HOPS, 100))
    phases = found.unflatten(0, (-1, CHANGE_HOPS))
    torch.testing.assert_close(phases.var(0), torch.ones(CHANGE_HOPS).double(), rtol=0, atol=0.1)
    torch.testing.assert_close(phases.mean(0), torch.zeros(CHANGE_HOPS).double(), rtol=0, atol=0.08)
    turn = torch.full((CHANGE_HOPS,), math.cos(math.pi / 2 / CHANGE_HOPS)).double()  # from each to the next
    next_to = (found[:-1] * found[1:])[: -CHANGE_HOPS + 1].unflatten(0, (-1, CHANGE_HOPS)).mean(0)
    torch.testing.assert_close(next_to, turn, rtol=0, atol=0.1)


def test_drawn_bands_differ_by_seed_and_hold_the_samples_of_the_whole() -> None:
    x = coloured(-24.0)[:, :20_001].expand(2, -1)
    whole, margin = drawn(x, RATE, CUTOFF, 7), reach(RATE)
    torch.testing.assert_close(whole[0], whole[1], rtol=0, atol=0)
    padded = torch.nn.functional.pad(x, (margin, margin))
    for start, stop in itertools.pairwise([0, 333, 7333, x.shape[1]]):
        stretch = drawn(padded[:, start : stop + 2 * margin], RATE, CUTOFF, 7, start - margin)
        torch.testing.assert_close(
            stretch[:, margin : margin + stop - start], whole[:, start:stop], rtol=0, atol=1e-12
        )
    other = drawn(x, RATE, CUTOFF, 8)[0]
    likeness = (whole[0] * other).sum() / (whole[0].norm() * other.norm())
    assert abs(likeness) < 0.1
    assert level(whole, 20, 0.88 * CUTOFF) - level(whole, CUTOFF, 1.1 * CUTOFF) < -40
    assert not drawn(torch.zeros(1, 9000), RATE, CUTOFF, 7).any()
    assert not drawn(x, RATE, 180.0, 7).any()
