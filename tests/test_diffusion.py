"""Restoration by stretches of windows: what is known stays, what is idle costs nothing."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from audiomend.classical.replication import replicated
from audiomend.conditions import Condition
from audiomend.models.prior import WienerPrior
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.damage import Clipped, Dull, Gaps, Within
from audiomend.restorers.diffusion import Restoration, Stretch, at_prior, fill, mend, stretches, windows_for
from audiomend.restorers.frame import prepare, run
from audiomend.restorers.memory import ArrayReader, ArraySink, read_padded
from audiomend.restorers.options import Options
from audiomend.restorers.regions import region_fade
from audiomend.restorers.settings import momentum_for, way

RATE = 8000
PRIOR = replace(WienerPrior(), length=8192)  # a window of 0.186 s, 1486 samples at 8 kHz


def tone(seconds: float, channels: int = 1, rate: int = RATE) -> np.ndarray:
    t = np.arange(round(seconds * rate)) / rate
    return np.stack([0.14 * np.sin(2 * np.pi * (440 + 110 * c) * t + c) for c in range(channels)])


def mended(source: ArrayReader, damage, steps: int = 4, gain: float = 1.0) -> np.ndarray:
    work = stretches(source, damage, windows_for(PRIOR, source.rate))
    out = source.samples.copy()
    for start, piece in mend(source, damage, work, PRIOR, way(damage.verb, "fast", steps), gain, seed=3):
        stretch = out[:, start : start + piece.shape[1]]
        lost = damage.lost(start, source.read(start, start + piece.shape[1]))
        stretch[lost] = piece[lost]
    return out


def test_windows_cover_the_priors_time_at_the_files_rate() -> None:
    windows = windows_for(PRIOR, RATE)
    assert windows.length == round(8192 * 8000 / 44_100)
    assert windows.overlap == round(windows.length / 8)


def test_only_windows_with_damage_are_found() -> None:
    source = ArrayReader(tone(4.0, channels=2), RATE)
    windows = windows_for(PRIOR, RATE)
    gaps = Gaps((((5000, 5040), (20_000, 20_010)),) * 2)
    found = stretches(source, gaps, windows)
    for stretch, (first, last) in zip(found, gaps.gaps[0], strict=True):
        low, high = (
            stretch.first * windows.hop - windows.overlap,
            stretch.last * windows.hop - windows.overlap,
        )
        assert low < last
        assert high + windows.length > first
        assert stretch.inputs == 2 * (stretch.last - stretch.first + 1)
    assert len(found) == 2


def test_neighbouring_windows_are_one_stretch() -> None:
    source = ArrayReader(tone(2.0), RATE)
    windows = windows_for(PRIOR, RATE)
    assert stretches(source, Dull(LowPass(1000, RATE)), windows) == [
        Stretch(0, windows.count(source.frames) - 1, windows.count(source.frames))
    ]


def test_a_silent_channel_is_not_worked_on() -> None:
    samples = tone(1.0, channels=2)
    samples[1] = 0
    found = stretches(ArrayReader(samples, RATE), Dull(LowPass(1000, RATE)), windows_for(PRIOR, RATE))
    assert sum(s.inputs for s in found) == windows_for(PRIOR, RATE).count(samples.shape[1])


@pytest.mark.parametrize("rate", [8000, 44_100, 96_000])
def test_a_gap_in_a_partial_is_filled(rate: int) -> None:
    clean = tone(1.0, rate=rate)
    gap = (rate // 2, rate // 2 + rate // 100)
    samples = clean.copy()
    samples[:, gap[0] : gap[1]] = 0
    prior = replace(WienerPrior(), length=65_536)
    source, damage = ArrayReader(samples, rate), Gaps(((gap,),))
    out = samples.copy()
    work = stretches(source, damage, windows_for(prior, rate))
    for start, piece in mend(source, damage, work, prior, way("inpaint", "fast", 12), 1.0, seed=0):
        lost = damage.lost(start, piece)
        out[:, start : start + piece.shape[1]][lost] = piece[lost]
    error = np.square(out - clean)[:, gap[0] : gap[1]].mean()
    assert 10 * np.log10(np.square(clean).mean() / error) > 6


def test_clipped_peaks_come_back_beyond_the_level() -> None:
    clean = tone(1.0)
    damage = Clipped(np.array([[-0.1]]), np.array([[0.1]]), RATE)
    source = ArrayReader(np.clip(clean, -0.1, 0.1), RATE)
    out = mended(source, damage, steps=8)
    lost = np.abs(clean) >= 0.1
    np.testing.assert_array_equal(out[~lost], clean[~lost])
    assert (np.abs(out[lost]) >= 0.1 - 1e-7).all()
    before = np.square(source.samples - clean)[lost].sum()
    assert np.square(out - clean)[lost].sum() < before / 4


def test_the_kept_band_agrees_with_the_file() -> None:
    rng = np.random.default_rng(0)
    low = LowPass(1000, RATE)
    source = ArrayReader(low.forward(torch.from_numpy(0.1 * rng.standard_normal((1, RATE)))).numpy(), RATE)
    out = mended(source, Dull(low))
    kept = LowPass(800, RATE)
    before = kept.forward(torch.from_numpy(source.samples))
    difference = kept.forward(torch.from_numpy(out)) - before
    assert 10 * torch.log10(before.square().sum() / difference.square().sum()) > 50


def test_level_is_undone_exactly() -> None:
    clean = tone(0.5)
    source = ArrayReader(np.clip(clean, -0.1, 0.1), RATE)
    damage = Clipped(np.array([[-0.1]]), np.array([[0.1]]), RATE)
    quiet = ArrayReader(source.samples / 64, RATE)
    soft = Clipped(damage.low / 64, damage.high / 64, RATE)
    np.testing.assert_allclose(
        64 * mended(quiet, soft, gain=64.0), mended(source, damage), rtol=1e-6, atol=1e-7
    )


def test_a_stretch_does_not_depend_on_the_others() -> None:
    clean = tone(3.0)
    samples = clean.copy()
    gaps = ((4000, 4050), (18_000, 18_060))
    for first, last in gaps:
        samples[:, first:last] = 0
    both = mended(ArrayReader(samples, RATE), Gaps((gaps,)))
    one = samples.copy()
    one[:, gaps[0][0] : gaps[0][1]] = clean[:, gaps[0][0] : gaps[0][1]]
    alone = mended(ArrayReader(one, RATE), Gaps((gaps[1:],)))
    second = slice(*gaps[1])
    np.testing.assert_array_equal(both[:, second], alone[:, second])


def test_identical_channels_stay_identical() -> None:
    samples = np.repeat(np.clip(tone(0.5), -0.1, 0.1), 2, axis=0)
    out = mended(ArrayReader(samples, RATE), Clipped(np.full((2, 1), -0.1), np.full((2, 1), 0.1), RATE))
    np.testing.assert_array_equal(out[0], out[1])


def test_operators_rows_follow_windows_then_channels() -> None:
    damage = Clipped(np.array([[-1.0], [-2.0]]), np.array([[1.0], [np.inf]]), RATE)
    rows = torch.tensor([[True, True], [False, True]])
    operator = damage.operator([0, 10], 4, rows, gain=3.0)
    assert torch.as_tensor(operator.low).flatten().tolist() == [-3.0, -6.0, -6.0]
    assert torch.as_tensor(operator.high).flatten().tolist() == [3.0, np.inf, np.inf]


@pytest.mark.parametrize(("n", "length"), [(300, 801), (301, 800), (801, 300)])
def test_a_condition_is_resampled_to_the_window_of_the_prior(n: int, length: int) -> None:
    """Partials keep amplitude and phase up to the last that both rates hold; flags stay where they are."""
    highest = (min(n, length) - 1) // 2

    def partials(samples: int) -> torch.Tensor:
        time = torch.arange(samples, dtype=torch.float64) / samples
        return torch.stack([torch.cos(2 * torch.pi * k * time + 0.4) for k in (3, highest)])

    flags = torch.zeros(2, n)
    flags[:, n // 3] = 1
    seen = at_prior(Condition(partials(n), flags, -0.5 * flags, torch.full((2,), 1000.0)), length)
    torch.testing.assert_close(seen.observation, partials(length), rtol=0, atol=1e-9)
    covering = torch.tensor([j * n // length == n // 3 for j in range(length)]).float()
    assert torch.equal(seen.unknown, covering.expand(2, -1))
    assert torch.equal(seen.clip, -0.5 * covering.expand(2, -1))
    assert seen.cutoff_hz.tolist() == [1000.0, 1000.0]


def test_the_fill_above_a_low_rate_is_noise_by_position_and_the_same_for_every_channel() -> None:
    rows = torch.tensor([[True, True], [False, True]])
    first, later, other = (
        fill(PRIOR, 22_050, seed, [offset, offset + 100], rows) for seed, offset in ((5, 0), (5, 40), (6, 0))
    )
    assert first.shape == (3, PRIOR.length)
    assert torch.equal(first[0], first[1])
    assert torch.equal(first[2, :-200], first[0, 200:])  # two samples of the prior to one of the file
    assert torch.equal(later[0, :-80], first[0, 80:])
    assert (first != other).any()


def test_gap_masks_follow_positions() -> None:
    gaps = Gaps((((5, 8),), ((0, 5),)))
    operator = gaps.operator([4, 7], 3, torch.tensor([[True, True], [True, False]]), gain=2.0)
    assert operator.known.tolist() == [[True, False, False], [False, True, True], [False, True, True]]


def test_nothing_outside_a_region_is_lost() -> None:
    inside = Within(Clipped(np.array([[-1.0]]), np.array([[1.0]]), RATE), ((12, 14),))
    lost = inside.lost(10, np.full((1, 6), 2.0))
    assert lost.tolist() == [[False, False, True, True, False, False]]


def test_region_fade_is_a_raised_cosine_of_ten_milliseconds() -> None:
    fade = region_fade(((1000, 1400),), 900, 1500, 8000)
    assert fade[:100].max() == 0
    assert fade[500:].max() == 0
    assert fade[100] == pytest.approx(np.sin(np.pi / 2 * 0.5 / 80) ** 2)
    assert fade[139] == pytest.approx(np.sin(np.pi / 2 * 39.5 / 80) ** 2)
    np.testing.assert_allclose(fade[180:420], 1)
    np.testing.assert_allclose(fade[100:500], fade[100:500][::-1])


def test_strength_makes_a_share_of_the_change() -> None:
    source = ArrayReader(np.clip(tone(0.5), -0.1, 0.1), RATE)
    damage = Clipped(np.array([[-0.1]]), np.array([[0.1]]), RATE)

    def result(strength: float) -> np.ndarray:
        sink = ArraySink(source.samples)
        run(prepare(source, damage, 1.0, Options(model="wiener", steps=3, strength=strength)), sink)
        return sink.samples - source.samples

    np.testing.assert_allclose(result(0.25), 0.25 * result(1.0), atol=1e-12)


def test_evaluations_are_counted_as_they_happen() -> None:
    source = ArrayReader(tone(1.0, channels=2), RATE)
    job = prepare(source, Gaps((((3000, 3100),), ((3050, 3200),))), 1.0, Options(model="wiener", steps=3))
    shares: list[float] = []
    run(job, ArraySink(source.samples), shares.append)
    assert job.evaluations == 2 * 3
    assert job.seconds == windows_for(job.prior, RATE).hop / RATE  # one window
    assert shares[-1] == 1.0
    assert shares == sorted(shares)


def test_reading_past_the_ends_gives_zeros() -> None:
    source = ArrayReader(np.arange(1.0, 4.0)[None], RATE)
    assert read_padded(source, -2, 5).tolist() == [[0, 0, 1, 2, 3, 0, 0]]
    assert read_padded(source, 7, 9).tolist() == [[0, 0]]


def test_momentum_rises_with_the_share_of_clipped_samples() -> None:
    shares = (0.0, 0.2, 0.325, 0.45, 1.0)
    m, stride = zip(*map(momentum_for, shares), strict=True)
    assert m == pytest.approx([0.6, 0.6, 0.725, 0.85, 0.85])
    assert stride == pytest.approx([2.0, 2.0, 2.5, 3.0, 3.0])
    chosen = way("declip", "fast", None, severity=0.325)
    assert (chosen.m, chosen.stride) == pytest.approx((0.725, 2.5))
    assert way("declip", "fast", None, {"m": 0.5}, severity=0.325).m == 0.5


def test_a_long_gap_is_drawn_and_a_short_one_estimated() -> None:
    assert way("inpaint", "fast", None, severity=0.08).solver == "momentum"
    long = way("inpaint", "fast", None, severity=0.081)
    assert (long.solver, long.start, long.conditioned) == ("2m", 30.0, True)


@pytest.mark.parametrize("deviation", [0.02, 0.5])
def test_clipping_tells_the_level_of_a_gaussian(deviation: float) -> None:
    x = deviation * np.random.default_rng(0).standard_normal((1, 200_000))
    level = 0.7 * deviation
    share = float((np.abs(x) >= level).mean())
    clipped = Clipped(np.array([[-level]]), np.array([[level]]), RATE, share)
    assert clipped.clean_rms == pytest.approx(deviation, rel=0.01)
    assert Clipped(np.array([[-np.inf]]), np.array([[level]]), RATE, 0.0).clean_rms == 0.0


def test_a_clipped_file_is_not_taken_for_a_quiet_one() -> None:
    source = ArrayReader(np.clip(tone(0.5), -0.03, 0.03), RATE)
    damage = Clipped(np.array([[-0.03]]), np.array([[0.03]]), RATE, 0.8)
    options = Options(model="wiener", steps=1)
    assert prepare(source, damage, 100.0, options).gain == pytest.approx(0.1 / damage.clean_rms)
    assert prepare(source, damage, 0.5, options).gain == 0.5


def test_only_extend_starts_from_more_than_the_damaged_signal() -> None:
    samples = torch.from_numpy(0.1 * np.random.default_rng(0).standard_normal((1, RATE)))

    def damaged(start: int, stop: int) -> torch.Tensor:
        padded = torch.nn.functional.pad(samples, (5000, 5000))
        return padded[:, start + 5000 : stop + 5000]

    low = LowPass(1000, RATE)
    for damage in (Clipped(np.array([[-1.0]]), np.array([[1.0]]), RATE), Gaps((((5, 8),),))):
        torch.testing.assert_close(damage.warm(damaged, 10, 90), samples[:, 10:90], rtol=0, atol=0)
    band = replicated(samples, RATE, 1000.0)
    assert band.abs().max() > 1e-3
    for start, stop in ((0, RATE), (17, 40), (3000, 5001)):
        for damage in (Dull(low), Within(Dull(low), ((0, 9),))):
            guess = damage.warm(damaged, start, stop)
            torch.testing.assert_close(guess, (samples + band)[:, start:stop], rtol=0, atol=1e-9)


def test_a_walk_of_no_noise_starts_where_the_file_does() -> None:
    """Positions of the walk and of the guess agree, in a stretch that begins anywhere."""
    samples = np.zeros((1, 3 * RATE))
    samples[:, 2 * RATE :] = 0.1 * np.random.default_rng(0).standard_normal(RATE)
    source, low = ArrayReader(samples, RATE), LowPass(1000, RATE)
    problem = Restoration(source, Dull(low), PRIOR, way("extend", "fast", 2), 3.0, 0, 7001, lambda _: None)
    expected = torch.from_numpy(samples) + replicated(torch.from_numpy(samples), RATE, 1000.0)
    torch.testing.assert_close(
        problem.guess(9500, 9600).double(), 3 * expected[:, 16_501:16_601], rtol=1e-4, atol=1e-6
    )
