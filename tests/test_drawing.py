"""Posterior samples spread as they should where the posterior is known; seeds, pieces and previews agree."""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import cast

import numpy as np
import pytest
import torch
from torch import Tensor

import audiomend
from audiomend.classical.replication import drawn
from audiomend.denoisers.base import Estimate
from audiomend.errors import UsageError
from audiomend.guidance.projection import projected
from audiomend.noise import normal
from audiomend.operators.low_pass import LowPass
from audiomend.processes.edm import EDM
from audiomend.restorers import guessing
from audiomend.restorers.damage import Clipped, Damage, Dull, Gaps
from audiomend.restorers.drawing import draws, part
from audiomend.restorers.frame import prepare, run
from audiomend.restorers.guessing import for_draw
from audiomend.restorers.jobs import WalkJob
from audiomend.restorers.memory import ArrayReader, ArraySink
from audiomend.restorers.methods import METHODS, Excerpt, Method
from audiomend.restorers.options import Options
from audiomend.restorers.settings import way
from audiomend.samplers.trajectory import evaluations
from audiomend.solvers.base import State
from audiomend.solvers.first_order import first_order
from audiomend.solvers.watched import watched

N, SAMPLES = 64, 400
GAP = torch.arange(N).ge(24) & torch.arange(N).lt(40)
F64 = torch.float64


def spectrum() -> Tensor:
    """Of the test bed's prior: 1 / (1 + (k / 4)²), scaled to unit variance of a sample."""
    k = torch.fft.fftfreq(N, 1 / N, dtype=F64)
    shape = 1 / (1 + (k / 4) ** 2)
    return shape / shape.mean()


def covariance() -> Tensor:
    first = torch.fft.ifft(spectrum()).real
    place = torch.arange(N)
    return first[(place[:, None] - place) % N]


def denoise(x: Tensor, t: float, s: float, carry: object = None) -> Estimate:
    """The exact one of the prior."""
    return Estimate(torch.fft.ifft(torch.fft.fft(x) * (spectrum() / (spectrum() + t**2))).real)


def no_noise(step: int, draw: int, start: int, stop: int) -> Tensor:
    raise AssertionError("the walk is to draw nothing on the way")


def low_rows() -> Tensor:
    """(17, N) orthonormal: the lowest Fourier dimensions."""
    n = torch.arange(N, dtype=F64)
    waves = [
        f(2 * math.pi * k * n / N) * math.sqrt(2 / N) for k in range(1, 9) for f in (torch.cos, torch.sin)
    ]
    return torch.stack([torch.full((N,), 1 / math.sqrt(N), dtype=F64), *waves])


KNOWN = {
    "gap": torch.eye(N, dtype=F64)[~GAP],
    "peaks": torch.eye(N, dtype=F64)[torch.arange(N) % 16 >= 4],  # as many lost as in the gap, in runs
    "low-pass": low_rows(),
}


@pytest.mark.parametrize("steps", [16, 32])
@pytest.mark.parametrize(
    ("verb", "what"),
    [("inpaint", "gap"), ("inpaint", "low-pass"), ("extend", "low-pass"), ("declip", "peaks")],
)
def test_the_spread_is_that_of_the_posterior(verb: str, what: str, steps: int) -> None:
    """Walked as the verb draws, held to what is known by projection.

    `declip` starts from an estimate, here the mean; `extend` from guesses that are drawn themselves.
    """
    rows, c = KNOWN[what], covariance()
    truth = torch.from_numpy(normal(3, 0, 0, 0, 0, N)).double() @ torch.linalg.cholesky(c).T
    gain = c @ rows.T @ torch.linalg.inv(rows @ c @ rows.T)
    mean, deviation = gain @ rows @ truth, (c - gain @ rows @ c).diagonal().clamp(min=0).sqrt()
    chosen = way(verb, None, steps, draw=True)
    assert chosen.warm == (verb != "inpaint")
    generator = torch.Generator().manual_seed(1)
    levels = chosen.levels(1.0)
    left = torch.linalg.cholesky(c - gain @ rows @ c + 1e-12 * torch.eye(N))
    drawn_ones = torch.randn(SAMPLES, N, generator=generator, dtype=F64) @ left.T
    guess = {"inpaint": 0.0, "declip": mean, "extend": mean + drawn_ones}[verb]
    start = guess + levels[0] * torch.randn(SAMPLES, N, generator=generator, dtype=F64)
    told = projected(denoise, lambda x, y: x + (y - x) @ rows.T @ rows, truth)

    *_, last = evaluations(told, chosen.stages(EDM(), levels), State(start), no_noise)
    found, wide = last.state.x, deviation > deviation.max() / 2
    ratio = (found.std(dim=0)[wide] / deviation[wide]).mean().item()
    assert 0.9 < ratio < 1.1
    bias = (found.mean(dim=0) - mean).square().mean().sqrt() / deviation.max()
    assert bias < 0.12
    torch.testing.assert_close(found @ rows.T, (truth @ rows.T).expand(SAMPLES, -1), rtol=0, atol=1e-9)


def test_no_quality_draws_with_fewer_evaluations_than_spread_well() -> None:
    evaluations = [way("inpaint", quality, None, draw=True).steps for quality in ("fast", "balanced", "best")]
    assert evaluations == [16, 16, 32]
    assert way("inpaint", "fast", None).steps == way("inpaint", None, 8, draw=True).steps == 8


def test_twenty_samples_show_it_too() -> None:
    """The same walk without an observation: over 50 sets of 20 the deviation is the prior's, 1."""
    chosen = way("inpaint", None, 16, draw=True)
    levels = chosen.levels(1.0)
    ratios = []
    for seed in range(50):
        generator = torch.Generator().manual_seed(seed)
        x = levels[0] * torch.randn(20, N, generator=generator, dtype=F64)
        *_, last = evaluations(denoise, chosen.stages(EDM(), levels), State(x), no_noise)
        ratios.append(last.state.x.std(dim=0).mean().item())
    assert np.mean(ratios) == pytest.approx(1, abs=0.1)


def test_draws_differ_in_seed_and_draw_by_their_verb() -> None:
    (first, second) = draws(Options(seed=7, steps=5), 2)
    assert (first.seed, second.seed, first.draw, first.steps) == (7, 8, True, 5)
    for severity in (0.0, 0.5):
        chosen = way("inpaint", None, 5, severity=severity, draw=True)
        assert (chosen.start, chosen.solver, chosen.warm, chosen.steps) == (10.0, "unipc", False, 5)
    for verb, start in (("declip", 1.5), ("extend", 0.3)):
        chosen = way(verb, None, 5, severity=0.3, draw=True)
        assert (chosen.start, chosen.solver, chosen.warm, chosen.steps) == (start, "unipc", True, 5)
    drawn = (way(verb, None, 5, draw=True) for verb in ("declip", "inpaint", "inpaint-band", "extend"))
    assert all(chosen.conditioned for chosen in drawn)


# --- What a draw starts from ------------------------------------------------------------------------------

RATE = 8000
CLIP = Clipped(np.array([[-0.1], [-np.inf]]), np.array([[0.1], [0.12]]), RATE, 0.2)


def peaks(start: int, stop: int) -> Tensor:
    """Two channels, twice as loud as the file; the middle is quiet, before 0 and after 6 s it is silent."""
    t = torch.arange(start, stop) / RATE
    x = 0.2 * torch.sin(2 * torch.pi * torch.tensor([[310.0], [470.0]]) * t)
    x = torch.where((t >= 2.5) & (t < 4), 0.1 * x, x) * ((t >= 0) & (t < 6))
    return 2 * CLIP.operator([0], stop - start, torch.ones(1, 2, dtype=torch.bool), 1.0).forward(x)


def test_a_draw_of_clipped_peaks_starts_from_a_declipped_signal() -> None:
    told = for_draw(CLIP, 2.0, seed=5)
    assert told.guess == "the damaged signal with its peaks restored by blend"
    whole = told.warm(peaks, -2000, 50_000)
    lost = torch.stack([peaks(-2000, 50_000)[0].abs() >= 0.2, peaks(-2000, 50_000)[1] >= 0.24])
    torch.testing.assert_close(whole[~lost], peaks(-2000, 50_000)[~lost], rtol=0, atol=0)
    clean = 0.4 * torch.sin(2 * torch.pi * 310 * torch.arange(8000, 16_000) / RATE)
    there, before = lost[0, 10_000:18_000], peaks(8000, 16_000)[0]
    errors = [(x - clean)[there].square().mean() for x in (whole[0, 10_000:18_000], before)]
    assert errors[0] < errors[1] / 100
    for start, stop in ((-300, 700), (15_900, 16_100), (31_000, 49_000)):
        part = for_draw(CLIP, 2.0, seed=6).warm(peaks, start, stop)
        torch.testing.assert_close(part, whole[:, start + 2000 : stop + 2000], rtol=0, atol=0)
    assert CLIP.warm(peaks, 100, 900).equal(peaks(100, 900))


def test_a_cell_is_restored_once_and_only_where_peaks_are_lost(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []
    real = METHODS["declip"]["blend"]

    def mend(excerpt: Excerpt) -> Tensor:
        asked.append((excerpt.start, excerpt.observation.shape[1]))
        assert (excerpt.rate, excerpt.severity) == (RATE, 0.2)
        return excerpt.observation

    fast = replace(real, qualities={"fast": replace(real, mend=mend)})
    monkeypatch.setitem(cast(dict[str, Method], METHODS["declip"]), "blend", fast)
    monkeypatch.setattr(guessing, "CELL_S", 1.0)
    guess = for_draw(CLIP, 2.0, seed=0)
    for start in range(-8000, 56_000, 4000):
        guess.warm(peaks, start, start + 6000)
    margin = round(real.margin_s * RATE)
    assert asked == [(cell * RATE - margin, RATE + 2 * margin) for cell in (0, 1, 2, 4, 5)]


def test_a_draw_of_a_band_starts_from_one_that_is_drawn_and_of_gaps_from_nothing_else() -> None:
    dull = Dull(LowPass(1000, RATE), bandwidth_hz=4000)
    told = for_draw(dull, 2.0, seed=5)
    assert "drawn" in told.guess
    assert "drawn" not in dull.guess
    band = drawn(peaks(-900, 4900), RATE, 1000.0, 5, first=-900)[:, 900:4900]
    torch.testing.assert_close(told.warm(peaks, 0, 4000), peaks(0, 4000) + band)
    assert not for_draw(dull, 2.0, seed=6).warm(peaks, 0, 4000).equal(told.warm(peaks, 0, 4000))
    gaps = Gaps((((700, 760),), ()))
    assert for_draw(gaps, 2.0, seed=5) is gaps


@pytest.mark.parametrize("verb", ["declip", "extend"])
def test_only_draws_start_from_it(verb: str, monkeypatch: pytest.MonkeyPatch) -> None:
    damage: Damage = {"declip": CLIP, "extend": Dull(LowPass(1000, RATE))}[verb]
    reader = ArrayReader(peaks(0, 8000).double().numpy() / 2, RATE)
    for draw in (False, True):
        options = Options(model="wiener", method="diffusion", seed=4, draw=draw)
        job = cast(WalkJob, prepare(reader, damage, 0.9, options))
        expected = for_draw(damage, job.gain, 4) if draw else damage
        assert job.damage.guess == job.started_from == expected.guess
        found = job.damage.warm(peaks, 0, 4000)
        torch.testing.assert_close(found, expected.warm(peaks, 0, 4000), rtol=0, atol=0)


# --- What stays ---------------------------------------------------------------------------------------------


def test_what_the_user_chose_and_presets_stay() -> None:
    (one,) = draws(Options(solver="ancestral", walk={"start": 3.0}), 1)
    chosen = way("inpaint", None, None, one.changes, draw=one.draw)
    assert (chosen.solver, chosen.start, chosen.warm) == ("ancestral", 3.0, False)
    (preset,) = draws(Options(preset="cqtdiff"), 1)
    assert not preset.draw
    assert way("declip", None, None, preset.changes, preset="cqtdiff") == way(
        "declip", None, None, preset="cqtdiff"
    )


def test_too_few_samples_and_too_large_seeds_are_refused() -> None:
    with pytest.raises(UsageError, match="samples is 0; it must be 1 or more"):
        draws(Options(), 0)
    with pytest.raises(UsageError, match="seed is 18446744073709551616; it must be a whole number"):
        draws(Options(seed=2**64 - 1), 2)


def test_progress_of_parts_makes_a_whole() -> None:
    shares: list[float] = []
    for number in range(4):
        told = part(shares.append, number, 4)
        assert told is not None
        told(0.5)
    assert shares == [0.125, 0.375, 0.625, 0.875]
    assert part(None, 0, 1) is None
    stop = part(lambda _: False, 0, 1)
    assert stop is not None
    assert stop(0.1) is False


RATE = 8000


def holed(channels: int = 1) -> np.ndarray:
    x = np.stack([0.3 * np.sin(2 * np.pi * (440 + 50 * c) * np.arange(RATE) / RATE) for c in range(channels)])
    x[:, 4000:4160] = 0
    return x


@pytest.mark.parametrize("kind", [np.asarray, torch.from_numpy])
def test_samples_of_arrays(kind: Callable) -> None:
    x, shares = kind(holed(2)), list[float]()
    mend = partial(audiomend.inpaint, x, RATE, model="wiener", steps=3)
    found = mend(seed=4, samples=3, progress=shares.append)
    assert type(found) is type(x)
    assert found.shape == (3, 2, RATE)
    assert found.dtype == x.dtype
    values = np.asarray(found)
    known = np.asarray(x) != 0
    known[:, 4000:4160] = False
    assert (values[:, known] == np.asarray(x)[known]).all()
    assert (values[0] != values[1]).any()
    again = np.asarray(mend(seed=5, samples=1))
    np.testing.assert_array_equal(again[0], values[1])
    assert (values[0] != np.asarray(mend(seed=4))).any()
    assert shares == sorted(shares)
    assert shares[-1] == 1


# --- Watching -----------------------------------------------------------------------------------------------


def test_a_watched_solver_does_the_same_and_tells_of_every_estimate() -> None:
    levels, x = [3.0, 1.0, 0.3, 0.0], torch.from_numpy(normal(0, 0, 0, 0, 0, 40))[None].double()
    told: list[tuple[int, int, Tensor]] = []
    plain = first_order(0.5)

    def noise(step: int, draw: int, start: int, stop: int) -> Tensor:
        return torch.from_numpy(normal(1, 0, step, draw, start, stop)).double()

    def steps(solver: Callable) -> list:
        return list(
            evaluations(lambda x, t, s, c=None: Estimate(x / (1 + t)), solver(EDM(), levels), State(x), noise)
        )

    expected = steps(plain)
    found = steps(watched(plain, lambda *seen: told.append(seen), 17))
    torch.testing.assert_close(found[-1].state.x, expected[-1].state.x, rtol=0, atol=0)
    assert [(index, position) for index, position, _ in told] == [(0, 17), (1, 17), (2, 17)]
    for (_, _, clean), step in zip(told, expected, strict=True):
        torch.testing.assert_close(clean, step.estimate.clean, rtol=0, atol=0)


@pytest.mark.parametrize("sampler", ["stream", "trajectory"])
def test_previews_are_in_order_and_end_with_the_result(sampler: str) -> None:
    """Two stretches apart, in a file at a level of its own; the last estimate is the result."""
    samples = np.tile(holed(2), (1, 30))
    samples[:, RATE:-RATE] += 1e-3
    source = ArrayReader(samples, RATE)
    gaps = ((4000, 4160), (29 * RATE + 4000, 29 * RATE + 4160))
    damage = Gaps((gaps, gaps[:1]))
    job = prepare(source, damage, 2.0, Options(model="wiener", steps=3, sampler=sampler, strength=0.5))
    assert len(job.work) == 2
    plain, sink = ArraySink(samples), ArraySink(samples)
    previews = [ArraySink(samples) for _ in range(3)]
    run(job, plain)
    run(job, sink, previews=previews)
    np.testing.assert_array_equal(sink.samples, plain.samples)
    np.testing.assert_allclose(previews[-1].samples, sink.samples, atol=1e-7)
    lost = np.zeros(samples.shape, bool)
    for start, stop in gaps:
        lost[0, start:stop] = True
    lost[1, 4000:4160] = True
    for preview in previews:
        assert (preview.samples[~lost] == samples[~lost]).all()
        assert (preview.samples[lost] != samples[lost]).mean() > 0.9
    assert (previews[0].samples != previews[1].samples).any()


def test_what_walks_without_a_solver_has_no_previews() -> None:
    samples = holed()
    job = prepare(
        ArrayReader(samples, RATE), Gaps((((4000, 4160),),)), 1.0, Options(model="wiener", preset="daps")
    )
    with pytest.raises(UsageError, match="The sampler daps walks without a solver, so it has no previews"):
        run(job, ArraySink(samples), previews=[ArraySink(samples)])
