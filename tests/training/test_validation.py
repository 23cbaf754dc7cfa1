import math
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.conditions import Condition
from audiomend.denoisers.base import Denoiser, Estimate
from audiomend.models.card import Card
from audiomend.models.prior import WienerPrior
from audiomend.noise import normal
from audiomend.training import restoration
from audiomend.training.restoration import CASES, mended, restorations
from audiomend.training.segments import DAMAGES, Segment, clipping, everything, gap, lost_part, operator_of
from audiomend.training.validation import LEVELS, SEED, denoising_gains, gain_db

LENGTH = 16_384


def tones(seed: int) -> np.ndarray:
    random = np.random.default_rng(seed)
    t = np.arange(LENGTH) / 44100
    x = sum(np.sin(2 * np.pi * f * t + f) for f in random.uniform(200, 12_000, 12))
    return (0.1 * x / np.sqrt(np.mean(x**2))).astype(np.float32)


@pytest.fixture(scope="module")
def segments() -> list[Segment]:
    return [Segment("music", tones(n)) for n in range(3)] + [Segment("piano", tones(3))]


@dataclass(frozen=True, eq=False)
class Stub:
    """A prior that answers as it is told to."""

    answer: Callable[[Tensor, float, Condition | None], Tensor]
    card: Card = WienerPrior().card
    length: int = LENGTH
    precision: str = "float32"
    seen: list[tuple[Tensor, float]] = field(default_factory=list)

    def denoiser(self, bandwidth_hz: float | None = None, condition: Condition | None = None) -> Denoiser:
        assert bandwidth_hz is None

        def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
            self.seen.append((x, t))
            return Estimate(self.answer(x, t, condition))

        return denoise


def test_the_gain_is_over_the_best_scalar_shrinkage():
    clean, error = np.full(50, 0.3), np.full(50, 0.05)
    best = 0.09 * 0.04 / (0.09 + 0.04)
    assert gain_db(clean, error, 0.2, everything(50)) == pytest.approx(10 * math.log10(best / 0.0025))


def test_the_gain_counts_the_dimensions_of_the_part():
    clean, error = tones(0), tones(1)
    part = lost_part(gap(clean), operator_of(gap(clean), LENGTH).forward(torch.from_numpy(clean)[None]))
    x, e = np.sum(part.of(clean) ** 2.0), np.sum(part.of(error) ** 2.0)
    n = part.dimensions * 0.02**2
    assert gain_db(clean, error, 0.02, part) == pytest.approx(10 * math.log10(x * n / (x + n) / e))


def test_the_best_scalar_shrinkage_gains_nothing():
    clean = tones(0)
    noise = normal(0, 0, 0, 0, 0, LENGTH)
    noise *= 0.05 / np.sqrt(np.mean(noise**2))
    noise -= clean * (clean @ noise) / (clean @ clean)  # no chance correlation
    power, variance = np.mean(clean**2), np.mean(noise**2)
    estimate = power / (power + variance) * (clean + noise)
    assert gain_db(clean, estimate - clean, math.sqrt(variance), everything(LENGTH)) == pytest.approx(
        0, abs=1e-3
    )


def test_silence_gains_nothing():
    zeros = np.zeros(10)
    assert gain_db(zeros, zeros + 1, 0.1, everything(10)) == 0.0


def zero_gains(signals: list[np.ndarray], dimensions: float, part: Callable = lambda x: x) -> list[float]:
    """Gains of the estimate 0, whose error is the signal: 10 log10(N / (X + N))."""
    rows = []
    for level in LEVELS:
        noise = dimensions * (0.1 * level) ** 2
        energies = [np.sum(np.square(part(x), dtype=np.float64)) for x in signals]
        rows.append(np.mean([10 * math.log10(noise / (x + noise)) for x in energies]))
    return rows


def test_gains_are_means_by_material(segments: list[Segment]):
    gains = denoising_gains(Stub(lambda x, t, c: 0 * x), segments, told=False)
    assert set(gains) == {"music", "piano", "clipping", "gap", "low-pass"}
    assert gains["music"] == pytest.approx(zero_gains([s.clean for s in segments[:3]], LENGTH), abs=1e-3)
    assert gains["piano"] == pytest.approx(zero_gains([segments[3].clean], LENGTH), abs=1e-3)


@pytest.mark.parametrize("told", [False, True])
def test_damages_take_turns_and_count_what_they_took(segments: list[Segment], told: bool):
    gains = denoising_gains(Stub(lambda x, t, c: 0 * x), segments, told=told)
    start, stop = (LENGTH - LENGTH // 4) // 2, (LENGTH + LENGTH // 4) // 2
    lost = zero_gains([segments[1].clean], stop - start, lambda x: x[start:stop])
    assert gains["gap"] == pytest.approx(lost, abs=1e-3)
    assert set(gains) >= {"clipping", "gap", "low-pass"}
    assert ("music" in gains) != told


def test_the_state_is_the_clean_signal_with_fixed_noise(segments: list[Segment]):
    stub = Stub(lambda x, t, c: 0 * x)
    denoising_gains(stub, segments[:2], told=False)
    assert len(stub.seen) == 2 * len(LEVELS)
    for place, (x, t) in enumerate(stub.seen):
        number, index = divmod(place, len(LEVELS))
        assert t == pytest.approx(0.1 * LEVELS[index])
        expected = segments[number].clean + t * normal(SEED, number, index, 0, 0, LENGTH)
        np.testing.assert_allclose(x[0], expected, rtol=1e-4, atol=1e-6)


def test_a_prior_that_is_told_sees_the_damaged_segment(segments: list[Segment]):
    conditions: list[Condition | None] = []
    stub = Stub(lambda x, t, c: (conditions.append(c), 0 * x)[1])
    denoising_gains(stub, segments, told=True)
    for number, kind in enumerate([*DAMAGES, "clipping"]):
        clean = segments[number].clean
        operator = operator_of(DAMAGES[kind](clean), LENGTH)
        expected = operator.condition(operator.forward(torch.from_numpy(clean)[None]))
        shown = conditions[number * len(LEVELS)]
        assert shown is not None
        assert torch.equal(shown.observation, expected.observation)
        assert torch.equal(shown.unknown, expected.unknown)
    conditions.clear()
    denoising_gains(stub, segments, told=False)
    assert conditions == [None] * (4 * len(LEVELS))


def test_the_wiener_estimate_gains_on_tones(segments: list[Segment]):
    gains = denoising_gains(WienerPrior(length=LENGTH), segments, told=False)
    assert gains["music"][LEVELS.index(1.0)] > 5


def oracle(clean: np.ndarray, only_told: bool) -> Stub:
    """Knows the clean segment, which begins after the fade-in of its window."""
    overlap = LENGTH // 8
    kept = LENGTH - 2 * overlap
    padded = torch.zeros(1, LENGTH)
    padded[0, overlap : overlap + kept] = torch.from_numpy(clean[:kept])
    return Stub(lambda x, t, c: 0 * x if only_told and c is None else padded.expand_as(x))


def test_restoration_by_one_who_knows_is_perfect(segments: list[Segment]):
    table = restorations(oracle(segments[3].clean, only_told=False), segments[3:])
    assert set(table) == {name for case in CASES for name in case.figures}
    for name, row in table.items():
        for version in ("told", "untold"):
            good = row[version] > 60 if "SDR" in name else abs(row[version]) < 0.5
            assert good, (name, version, row)


def test_a_low_pass_is_judged_above_its_cutoff_alone():
    (figure,) = CASES[-1].figures.values()
    time = np.arange(22050) / 44100
    clean = 0.1 * np.random.default_rng(0).standard_normal(22050)
    assert figure(clean, clean + 0.5 * np.sin(2 * np.pi * 500 * time)) < 0.1
    assert figure(clean, clean + 0.5 * np.sin(2 * np.pi * 9000 * time)) > 1


def test_restoration_shows_the_observation_only_where_it_is_told(segments: list[Segment]):
    table = restorations(oracle(segments[3].clean, only_told=True), segments[3:])
    row = table["gap of 100 ms, SDR in dB"]
    assert row["told"] > 60
    assert row["untold"] < 10
    assert row["damaged"] == 0.0


def test_damaged_figures_are_those_of_the_damaged_sound(segments: list[Segment]):
    table = restorations(oracle(segments[3].clean, only_told=False), segments[3:])
    assert table["gap of 400 ms, level error in dB"]["damaged"] == -300
    assert 0 < table["clipped samples, SDR in dB"]["damaged"] < 10
    assert table["above 3 kHz, log-spectral distance in dB"]["damaged"] > 10


def test_restoration_takes_one_segment_of_up_to_three_materials(segments: list[Segment]):
    many = [Segment(name, segments[0].clean) for name in "aabbccdd"]
    windows: list[float] = []
    stub = oracle(segments[0].clean, only_told=False)
    restorations(stub, many)
    windows = [t for _, t in stub.seen]
    assert len(windows) == len(CASES) * 3 * 2 * 8  # told and untold, 8 evaluations of one window


def test_severe_damage_is_walked_as_the_verbs_do(segments: list[Segment], monkeypatch: pytest.MonkeyPatch):
    ways: list[tuple[object, ...]] = []
    real = restoration.way
    monkeypatch.setattr(restoration, "way", lambda *given: (ways.append(given), real(*given))[1])
    restorations(oracle(segments[0].clean, only_told=False), segments[:1])
    clean = segments[0].clean[: LENGTH - LENGTH // 4]
    assert ways[0] == ("declip", "fast", None, {"conditioned": False}, clipping(clean).severity)
    assert ways[1] == ("declip", "fast", None, {"conditioned": True}, clipping(clean).severity)
    assert [given[0] for given in ways[2:]] == ["inpaint"] * 4 + ["extend"] * 2


def test_what_is_known_stays(segments: list[Segment]):
    clean = segments[0].clean[:12_288]
    damage = gap(clean)
    damaged = operator_of(damage, len(clean)).forward(torch.from_numpy(clean)[None])[0].double().numpy()
    result = mended(Stub(lambda x, t, c: 0.5 * x), damage, damaged, conditioned=False)
    lost = damage.lost(0, damaged[None])[0]
    np.testing.assert_array_equal(result[~lost], damaged[~lost])
    assert np.any(result[lost] != 0)
