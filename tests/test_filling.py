"""Gaps by classical methods and together with the prior: which, from what, and how they are mixed."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import torch

import audiomend
from audiomend.classical import continuation, janssen, similarity, spain
from audiomend.errors import UsageError
from audiomend.operators.mask import Mask
from audiomend.restorers.classical import parts
from audiomend.restorers.damage import Gaps
from audiomend.restorers.filling import FILLINGS, Filling, Guess, by_filling, share
from audiomend.restorers.frame import prepare
from audiomend.restorers.jobs import ClassicalJob, Job, Jobs, WalkJob
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.methods import METHODS, Excerpt, Method
from audiomend.restorers.options import Options

RATE = 8000
METHOD = pytest.mark.parametrize("method", METHODS["inpaint"])


def sound(seconds: float = 2.0, seed: int = 0) -> np.ndarray:
    t = np.arange(round(seconds * RATE)) / RATE
    tone = sum(np.sin(2 * np.pi * f * t + f) / (1 + k) for k, f in enumerate((220, 445, 667, 1331)))
    return 0.1 * tone + 1e-4 * np.random.default_rng(seed).standard_normal(len(t))


def holed(x: np.ndarray, *gaps: tuple[int, int]) -> np.ndarray:
    y = x.copy()
    for start, end in gaps:
        y[..., start:end] = 0
    return y


def seconds(*gaps: tuple[int, int]) -> list[tuple[float, float]]:
    return [(start / RATE, end / RATE) for start, end in gaps]


@METHOD
def test_a_gap_is_filled_and_the_rest_stays_to_the_bit(method: str):
    x, gap = sound(), (7777, 8177)
    y = holed(x, gap)
    z = audiomend.inpaint(y, RATE, gaps=seconds(gap), method=method)
    inside = np.zeros(len(x), bool)
    inside[slice(*gap)] = True
    np.testing.assert_array_equal(z[~inside], y[~inside])
    least = 0.5 if method == "similarity" else 0.1
    assert np.linalg.norm((z - x)[inside]) < least * np.linalg.norm(x[inside])


def test_a_method_is_its_function_with_settings_for_the_rate():
    x, gap = sound(), (7777, 8177)
    known = torch.ones(len(x), dtype=torch.bool)
    known[slice(*gap)] = False
    row = torch.from_numpy(x)[None]
    expected = {
        "janssen": janssen.interpolated(row, known, janssen.Janssen(256, 1024, iterations=2)),
        "a-spain": spain.interpolated(row, known, spain.Spain(window=1024, rms=0.15, dtype=torch.float32)),
        "similarity": similarity.interpolated(row, known, RATE),
    }
    for name, filled in expected.items():
        z = audiomend.inpaint(holed(x, gap), RATE, gaps=seconds(gap), method=name)
        np.testing.assert_allclose(z, filled[0].numpy(), atol=2e-3 if name == "a-spain" else 2e-4)
    once = janssen.interpolated(row, known, janssen.Janssen(256, 1024, iterations=1))
    z = audiomend.inpaint(holed(x, gap), RATE, gaps=seconds(gap), method="janssen", quality="fast")
    np.testing.assert_allclose(z, once[0].numpy(), atol=2e-4)
    for quality, times in (("fast", "1 iteration"), (None, "2 iterations"), ("best", "2 iterations")):
        words = METHODS["inpaint"]["janssen"].at(quality).words(44_100, 0.0)
        assert words == f"order 1024, 4096 samples on either side, {times}"


def test_channels_with_gaps_of_their_own():
    x = np.stack([sound(), sound(seed=1)])
    y = x.copy()
    y[0, 4000:4200] = y[1, 4100:4300] = 0
    z = audiomend.inpaint(y, RATE, method="janssen")
    assert np.linalg.norm(z - x) < 0.05 * np.linalg.norm(y - x)


def test_a_gap_longer_than_a_cell_is_filled_to_its_middle():
    x, gap = sound(6.0), (20_000, 30_000)
    z = audiomend.inpaint(holed(x, gap), RATE, gaps=seconds(gap), method="similarity")
    level = np.abs(z[20_000:30_000]).reshape(100, 100).max(axis=1)
    assert level.min() > 0.05


@pytest.mark.parametrize("method", ["janssen", "a-spain"])
def test_gaps_that_are_too_long_for_a_model_are_refused(method: str):
    with pytest.raises(UsageError, match=f"{method} fills gaps of up to 0.12 s; one here lasts 0.200"):
        audiomend.inpaint(sound(), RATE, gaps=[(0.5, 0.7)], method=method)
    longest = Gaps((((4000, 4960),),), 0.12)
    source = ArrayReader(holed(sound(), (4000, 4960))[None], RATE)
    assert prepare(source, longest, 1.0, Options(method=method)).method == method


def constant(
    value: float, filling: Filling, chosen: list[tuple[int, int]], patch: pytest.MonkeyPatch
) -> Guess:
    def mend(excerpt: Excerpt) -> torch.Tensor:
        return torch.where(excerpt.operator.known, excerpt.observation, value)

    method = Method(mend, lambda rate, severity: "", lambda rate: 1, 0.1, 1.0)
    patch.setitem(METHODS["inpaint"], "janssen", method)
    return Guess(filling, Gaps(((*chosen, (9000, 9100)),)), chosen, RATE)


def test_the_guess_is_the_fill_as_far_as_both_sides_agree(monkeypatch: pytest.MonkeyPatch):
    x = torch.from_numpy(sound()[None]).float()
    y = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    y[:, 4200:4600] *= 1.2
    y[:, 4000:4200] = y[:, 9000:9100] = 0
    guess = constant(0.1, Filling(1.0, "janssen", {}, shrunk=True), [(4000, 4200)], monkeypatch)

    def damaged(start: int, stop: int) -> torch.Tensor:
        return torch.nn.functional.pad(y, (max(-start, 0), 0))[:, max(start, 0) : stop + max(-start, 0)]

    near, known = y[:, 2400:5800], torch.ones(3400, dtype=torch.bool)  # 0.2 s on either side
    known[1600:1800] = False
    sure = float(continuation.agreement(near, known, 1600, 1800, 512))
    assert 0.2 < sure < 0.97
    part = 0.1**2 / float(y[:, 4200:4600].square().mean())  # 50 ms of the louder side
    assert 0.15 < part < 0.65
    warm = guess.warm(damaged, 3900, 4100)
    assert torch.equal(warm[:, :100], y[:, 3900:4000])
    torch.testing.assert_close(warm[:, 100:], torch.full((1, 100), 0.1 * sure**0.5), rtol=1e-3, atol=0)
    farther = replace(METHODS["inpaint"]["janssen"], margin_s=0.3)
    monkeypatch.setitem(METHODS["inpaint"], "janssen", farther)
    torch.testing.assert_close(replace(guess, _kept={}).warm(damaged, 3900, 4100), warm)
    walked = torch.full((1, 500), -1.0)
    blended = guess.blended(damaged, walked, 3900)
    expected = torch.full((1, 200), part * 0.1 - (1 - part))
    torch.testing.assert_close(blended[:, 100:300], expected, rtol=1e-3, atol=0)
    assert (blended[:, :100] == -1).all()
    assert (blended[:, 300:] == -1).all()
    assert torch.equal(guess.warm(damaged, 8900, 9200), y[:, 8900:9200])  # the other gap is not its own
    plain = constant(3.0, Filling(1.0, "janssen", {}), [(4000, 4200)], monkeypatch)
    assert (plain.warm(damaged, 4000, 4200) == 3).all()
    other = constant(5.0, plain.filling, [(4000, 4200)], monkeypatch)
    cheap = METHODS["inpaint"]["janssen"]
    constant(3.0, plain.filling, [], monkeypatch)
    usual = replace(METHODS["inpaint"]["janssen"], qualities={"fast": cheap})
    monkeypatch.setitem(METHODS["inpaint"], "janssen", usual)
    for quality, value in (("fast", 5), ("balanced", 3)):
        assert (replace(other, quality=quality, _kept={}).warm(damaged, 4000, 4200) == value).all()


def test_the_share_of_a_guess_is_its_power_over_that_of_the_louder_side():
    loud, soft = torch.ones(2, 400), torch.full((2, 400), 0.1)
    guess = torch.tensor([[0.5], [-2.0]]).expand(2, 100)
    for before, after in ((loud, soft), (soft, loud), (loud, loud)):
        torch.testing.assert_close(share(guess, before, after), torch.tensor([0.25, 0.9]))
    torch.testing.assert_close(share(0.1 * guess[:1], soft[:1], soft[:1]), torch.tensor([0.25]))
    assert float(share(torch.zeros(10), torch.zeros(10), torch.zeros(10))) == 0.0


def test_a_model_that_is_sure_has_a_larger_share():
    noise = torch.randn(16_000, generator=torch.Generator().manual_seed(0))
    for x, least, most in ((torch.from_numpy(sound()).float(), 0.85, 0.9), (noise, 0.0, 0.2)):
        known = torch.ones(1, 16_000, dtype=torch.bool)
        known[:, 7777:8177] = False
        filled = METHODS["inpaint"]["janssen"].mend(Excerpt(x[None], Mask(known), 0, RATE, 0.05))
        before, guess, after = filled[0, 7377:8577].split(400)
        assert least < float(share(guess, before, after)) < most + 1e-6


def test_noise_agrees_on_nothing():
    x = torch.randn(1, 4000, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    known = torch.ones(4000, dtype=torch.bool)
    known[2000:2200] = False
    assert float(continuation.agreement(x, known, 2000, 2200, 64)) < 0.3


def restless() -> np.ndarray:
    """8 s in which no two tenths of a second are alike: each has noise in a band of its own."""
    random = np.random.default_rng(3)
    bins = np.arange(401) * 10 // 401
    parts = []
    for number in range(80):
        levels = 10 ** (-0.15 * ((np.arange(10) * 7 + number * 3) % 13 + random.uniform(0, 6, 10)))
        noise = np.fft.rfft(random.standard_normal(800))
        parts.append(np.fft.irfft(noise * levels[bins]))
    return np.concatenate(parts)


def jobs(
    *lengths_s: float, steps: int | None = None, of: np.ndarray | None = None, quality: str | None = None
) -> list[Job]:
    y, gaps, place = sound(8.0) if of is None else of, list[tuple[int, int]](), 2000
    for length in lengths_s:
        gaps.append((place, place + round(length * RATE)))
        place = gaps[-1][1] + 4000
    y = holed(y, *gaps)
    damage = Gaps((tuple(gaps),), max(lengths_s))
    job = prepare(ArrayReader(y[None], RATE), damage, 1.0, Options(steps=steps, quality=quality))
    return list(job.each) if isinstance(job, Jobs) else [job]


def test_several_methods_are_named_once_with_what_each_fills():
    places = ((2000, 160), (6160, 400), (10560, 800), (15360, 2400))
    gaps = tuple((start, start + length) for start, length in places)
    y = holed(restless(), *gaps)
    job = prepare(ArrayReader(y[None], RATE), Gaps((gaps,), 0.3), 1.0, Options())
    assert job.method == "janssen and diffusion for 3 gaps of 0.02 to 0.1 s, diffusion for 1 gap of 0.3 s"
    mean = "the share of janssen in the mean of both is its power over that of the louder side, 0.9 at most"
    model = "janssen with order 256, 1024 samples on either side, 2 iterations"
    assert job.settings == (
        f"janssen and diffusion at 0.250, 0.770 s: {model}; diffusion from it, at the level of what both"
        f" sides agree on, with noise of 2 times the sound's level, momentum, projection; {mean}."
        f" janssen and diffusion at 1.320 s: {model}; diffusion from it, with noise of 0.3 times the sound's"
        f" level, 2m, projection; {mean}. diffusion at 1.920 s: 2m, projection"
    )


def test_the_settings_of_a_guess_are_those_of_its_quality():
    (quick,), (usual,) = jobs(0.05, quality="fast"), jobs(0.05)
    assert "2 iterations; diffusion from it" in usual.settings
    assert quick.settings == usual.settings.replace("2 iterations", "1 iteration")


def test_of_many_gaps_the_first_are_told():
    gaps = (*((2000 * k, 2000 * k + 80) for k in range(1, 13)), (30_000, 30_800))
    job = prepare(ArrayReader(holed(sound(8.0), *gaps)[None], RATE), Gaps((gaps,), 0.1), 1.0, Options())
    assert job.settings.startswith("janssen and diffusion at 0.250, 0.500,")
    assert ", 2.250, 2.500 s and 2 more: janssen with" in job.settings
    ten = (*gaps[:10], gaps[-1])
    job = prepare(ArrayReader(holed(sound(8.0), *ten)[None], RATE), Gaps((ten,), 0.1), 1.0, Options())
    assert ", 2.250, 2.500 s: janssen with" in job.settings


def test_each_gap_is_filled_in_the_way_that_suits_its_length():
    found = jobs(0.02, 0.1, 0.05, 0.9)
    assert [job.method for job in found] == [*["janssen and diffusion"] * 2, "similarity"]
    check(found, FILLINGS[:3])
    unlike = jobs(0.02, 0.1, 0.05, 0.3, of=restless())
    assert [job.method for job in unlike] == [*["janssen and diffusion"] * 2, "diffusion"]
    check(unlike[:2], FILLINGS[:2])
    assert [job.method for job in jobs(0.31, 0.9, of=restless())] == ["similarity"]
    assert jobs(0.9, of=restless()[:8000])[0].method == "diffusion"  # of a second: nothing to compare with
    for length, filling in ((0.01, 0), (0.08, 0), (0.081, 1), (0.12, 1)):
        check(jobs(length), [FILLINGS[filling]])
    assert jobs(0.121, of=restless())[0].method == "diffusion"
    assert [job.method for job in jobs(0.2, quality="fast")] == ["similarity"]  # which has one quality only
    (alone,) = jobs(0.05, 0.04)
    assert (alone.method, alone.damage.severity) == ("janssen and diffusion", 0.05)
    (quick,) = jobs(0.05, quality="fast")
    assert isinstance(quick, WalkJob)
    assert quick.blend is not None
    assert quick.blend.quality == "fast"


def check(found: list[Job], fillings: Sequence[Filling]) -> None:
    for job, filling in zip(found, fillings, strict=True):
        if isinstance(job, WalkJob):
            assert filling.walk is not None
            assert {key: getattr(job.way, key) for key in filling.walk} == dict(filling.walk)
            assert job.blend is not None
            assert job.blend.filling == filling
            assert job.way.warm
            assert job.started_from == f"the gaps filled by {filling.method}"
        else:
            assert isinstance(job, ClassicalJob)


def test_what_is_said_of_the_walk_leaves_it_alone():
    found = jobs(0.05, steps=4)
    assert [job.method for job in found] == ["diffusion"]


def test_several_ways_in_one_file_change_all_gaps_and_nothing_else(monkeypatch: pytest.MonkeyPatch):
    ways = (Filling(0.03, "janssen", None), Filling(0.08, "a-spain", None), Filling(9.0, "similarity", None))
    monkeypatch.setattr("audiomend.restorers.filling.FILLINGS", ways)
    x = np.stack([sound(4.0), sound(4.0, 1)])
    gaps = [(3000, 3100), (3150, 3500), (9000, 11_000), (20_000, 20_010)]
    y = holed(x, *gaps)
    shares: list[float] = []
    z = audiomend.inpaint(y, RATE, gaps=seconds(*gaps), progress=shares.append)
    inside = holed(np.ones(x.shape[1]), *gaps) == 0
    np.testing.assert_array_equal(z[:, ~inside], y[:, ~inside])
    assert (z[:, inside] != 0).mean() > 0.99
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    monkeypatch.setitem(METHODS["inpaint"], "janssen", replace(METHODS["inpaint"]["janssen"], most=9.0))
    first = audiomend.inpaint(y, RATE, gaps=seconds(*gaps), method="janssen", regions=seconds(gaps[0]))
    np.testing.assert_allclose(z[:, 3000:3100], first[:, 3000:3100], atol=1e-6)
    halves = audiomend.inpaint(y, RATE, gaps=seconds(*gaps), regions=[(0, 0.41)])
    np.testing.assert_array_equal(halves[:, :3280], z[:, :3280])
    np.testing.assert_array_equal(halves[:, 3280:], y[:, 3280:])


def test_how_unlike_decides_between_a_similar_stretch_and_a_walk(monkeypatch: pytest.MonkeyPatch):
    for length, unlike, method in (
        (0.13, 7.5, "similarity"),
        (0.13, 7.6, "diffusion"),
        (0.3, 7.5, "similarity"),
        (0.3, 7.6, "diffusion"),
        (0.12, 0.0, "janssen and diffusion"),
    ):
        monkeypatch.setattr("audiomend.restorers.filling.unlikeness", lambda *_, unlike=unlike: unlike)
        assert [job.method for job in jobs(length)] == [method]


def test_what_is_measured_as_unlike_is_what_is_around_the_gap(monkeypatch: pytest.MonkeyPatch):
    """The samples of the file alone, without those of any gap."""
    told: list[tuple[torch.Tensor, torch.Tensor, int, int, float]] = []

    def unlikeness(x, known, start, end, rate, settings):
        del settings
        told.append((x, known, start, end, rate))
        return 0.0

    monkeypatch.setattr("audiomend.restorers.filling.unlikeness", unlikeness)
    x = np.random.default_rng(0).standard_normal((2, 60_000))
    damage = Gaps((((20_000, 21_000),), ((20_500, 21_000), (40_000, 40_010))), 1000 / RATE)
    by_filling(ArrayReader(x, 1000), damage, [(20_000, 21_000)])
    ((near, known, start, end, rate),) = told
    assert (start, end, rate) == (10_400, 11_400, 1000)
    np.testing.assert_array_equal(near.numpy(), x[:, 9600:31_400])
    assert (~known).nonzero()[:, 0].tolist() == list(range(10_400, 11_400))


def test_every_gap_has_a_way_and_every_method_can():
    assert FILLINGS[-1].longest_s == FILLINGS[-1].unlike_db == float("inf")
    models = [f for f in FILLINGS if f.method != "diffusion"]
    assert all(METHODS["inpaint"][f.method].most >= f.longest_s for f in models)


def test_jobs_begin_in_turn_and_pieces_come_in_order():
    """What another job will do later is not in memory yet."""
    begun: list[int] = []

    def mend(excerpt):
        begun.append(excerpt.start)
        return excerpt.observation + 1

    method = Method(mend, lambda *_: "", lambda rate: 100, margin_s=0.0, longest_s=1.0)
    source = ArrayReader(np.zeros((1, 9000)), RATE)

    def job(*gaps: tuple[int, int]) -> ClassicalJob:
        damage = Gaps((gaps,))
        return ClassicalJob(source, damage, 1.0, Options(), "stub", method, parts(source, damage, method))

    jobs = [job((100, 150), (5000, 5010)), job((3000, 3050), (8000, 8020))]
    both = Jobs(source, jobs[0].damage, Options(), jobs, "several", "")
    done: list[int] = []
    found = []
    for start, samples in both.pieces(done.append, None):
        found.append((start, samples.shape, list(begun)))
    assert found == [
        (100, (1, 50), [100]),
        (3000, (1, 50), [100, 3000]),
        (5000, (1, 10), [100, 3000, 5000]),
        (8000, (1, 20), [100, 3000, 5000, 8000]),
    ]
    assert sum(done) == both.amount
