"""The preset published: methods without a prior as their papers have them, through the verbs."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

import audiomend
from audiomend.classical import ar_declip, social_sparsity, spade
from audiomend.classical.curve import Bend
from audiomend.errors import UsageError
from audiomend.evaluation.damages import Damage
from audiomend.evaluation.methods import parse_method, restore
from audiomend.operators.hard_clip import HardClip
from audiomend.restorers.classical import parts, restored
from audiomend.restorers.damage import Bent, Clipped, Gaps
from audiomend.restorers.frame import prepare
from audiomend.restorers.memory import ArrayReader
from audiomend.restorers.methods import METHODS
from audiomend.restorers.options import Options
from audiomend.restorers.presets import PUBLISHED_METHODS

RATE = 44_100
GOLDEN = np.load(Path(__file__).parent / "golden" / "autoregressive.npz")
PIANO = GOLDEN["clean16"] / 32768
RESTORERS: dict[str, Callable[[Tensor, HardClip], Tensor]] = {
    "a-spade": lambda y, clip: spade.a_spade(y, clip, spade.PUBLISHED)[0],
    "s-spade": lambda y, clip: spade.s_spade(y, clip, spade.PUBLISHED)[0],
    "ss-ew": lambda y, clip: social_sparsity.ss_ew(y, clip, social_sparsity.PUBLISHED)[0],
    "ss-pew": lambda y, clip: social_sparsity.ss_pew(y, clip, social_sparsity.PUBLISHED)[0],
    "ar": lambda y, clip: ar_declip.declipped(y, clip.low, clip.high, ar_declip.PUBLISHED),
}
LEVELS = {"ss-ew": 0.004, "ss-pew": 0.004, "ar": 0.3}  # of the others 0.01: quiet sounds take few steps


def clipped(level: float, frames: int = 4000) -> tuple[np.ndarray, float]:
    """Two tones and a little noise, clipped at a level that float32 does not hold."""
    t = np.arange(frames) / RATE
    x = np.sin(2 * np.pi * 441 * t) + 0.6 * np.sin(2 * np.pi * 1093 * t + 1)
    x = level * (x + 0.001 * np.random.default_rng(0).standard_normal(frames))
    high = 0.9 * level * (1 + 1e-9)
    return np.clip(x, -high, high), high


@pytest.mark.parametrize("method", RESTORERS)
def test_declip_is_the_published_restorer_at_the_level_of_the_file(method: str) -> None:
    y, level = clipped(LEVELS.get(method, 0.01))
    signal = RESTORERS[method](torch.from_numpy(y), HardClip(-level, level)).numpy()
    z = audiomend.declip(y, RATE, method=method, preset="published")
    lost = np.abs(y) == level
    np.testing.assert_array_equal(z[~lost], y[~lost])
    np.testing.assert_allclose(z[lost], signal[lost], rtol=0, atol=1e-12 * level)
    assert np.abs(z - y)[lost].max() > 0.1 * level
    elsewhere = audiomend.declip(y, 8000, method=method, preset="published")  # frames of as many samples
    np.testing.assert_allclose(elsewhere, z, rtol=0, atol=1e-12 * level)
    usual = audiomend.declip(y, RATE, method=method)
    assert np.linalg.norm(usual - z) > 1e-6 * np.linalg.norm(z - y)


def test_declip_gives_what_published_code_gave_short_of_the_level_too() -> None:
    theta, frames = float(GOLDEN["theta"]), 16384
    x = PIANO[:frames]
    z = audiomend.declip(x.clip(-theta, theta), RATE, method="ar", preset="published")
    at = np.abs(x[: frames - 8192]) > theta  # frames that begin there see the same samples
    expected = GOLDEN["clipped16"][: at.sum()] / GOLDEN["scale"]
    assert np.abs(z[: frames - 8192][at] - expected).max() < 3.2e-5
    assert (np.abs(expected) < 0.99 * theta).any()


@pytest.mark.parametrize(("method", "key"), [("janssen", "gaps_burg1024"), ("a-spain", "gaps_aspain")])
def test_inpaint_gives_what_published_code_gave(method: str, key: str) -> None:
    start, size = int(GOLDEN["gap_starts"][0]), int(GOLDEN["gap_samples"])
    gap = slice(start, start + size)
    y = np.array(PIANO[: start + 2 * 8192])
    y[gap] = 0
    for rate in (RATE, 16_000):
        gaps = [(start / rate, (start + size) / rate)]
        z = audiomend.inpaint(y, rate, gaps=gaps, method=method, preset="published")
        assert np.abs(z[gap] - GOLDEN[key][:size]).max() < 1e-6
        y[gap] = z[gap]
        np.testing.assert_array_equal(z, y)
        y[gap] = 0


def test_parts_of_a_long_sound_are_the_whole() -> None:
    y = PIANO.clip(-0.3, 0.3)[None]
    levels = np.array([[0.3]])
    damage, source = Clipped(-levels, levels, RATE, raw=True), ArrayReader(y, RATE)
    method = METHODS["declip"]["ar"].published
    assert method is not None

    def mended(longest_s: float) -> tuple[int, np.ndarray]:
        cut = replace(method, longest_s=longest_s)
        work = parts(source, damage, cut)
        found = [piece for _, piece in restored(source, damage, cut, 0.4, work, lambda _: None)]
        return len(work), np.concatenate(found, axis=1)

    (one, whole), (several, cut) = mended(100.0), mended(0.4)
    assert (one, several > 2) == (1, True)
    np.testing.assert_allclose(cut, whole, atol=1e-6)


@pytest.mark.parametrize("name", ["ss-ew", "ss-pew"])
def test_social_sparsity_sees_ten_seconds_as_a_whole(name: str) -> None:
    """Its momentum and its stopping rule are of the whole signal."""
    y = 0.1 * np.random.default_rng(0).standard_normal((1, 10 * 8000))
    y[:, 70_000:70_010] = 1 / 3
    level, seen = np.array([[1 / 3]]), list[Tensor]()
    method = METHODS["declip"][name].published
    assert method is not None
    spy = replace(method, mend=lambda excerpt: seen.append(excerpt.observation) or excerpt.observation)
    source, damage = ArrayReader(y, 8000), Clipped(-level, level, 8000)
    list(restored(source, damage, spy, 0.4, parts(source, damage, spy), lambda _: None))
    assert [(one.shape, one.dtype) for one in seen] == [(y.shape, torch.float64)]
    np.testing.assert_array_equal(seen[0].numpy(), y)


def test_the_listed_methods_are_those_that_have_published_settings() -> None:
    found = {
        verb: [name for name, method in methods.items() if method.published is not None]
        for verb, methods in METHODS.items()
    }
    assert {verb: names for verb, names in found.items() if names} == {
        verb: list(methods) for verb, methods in PUBLISHED_METHODS.items()
    }
    words = {
        "a-spade": "frames of 8192, k grows by 1 in 2 iterations",
        "s-spade": "frames of 8192, k grows by 1 in 2 iterations",
        "ss-ew": "frames of 8192, 20 thresholds of up to 500 steps each",
        "ss-pew": "frames of 8192, 20 thresholds of up to 500 steps each",
        "ar": "frames of 8192, order 512, 5 iterations",
        "janssen": "order 1024, 4096 samples on either side, 5 iterations",
        "a-spain": "frames of 4096, one bin more after each iteration",
    }
    for verb, methods in PUBLISHED_METHODS.items():
        for name in methods:
            published = METHODS[verb][name].published
            assert published is not None
            assert published.words(16_000, 0.9) == f"as published: {words[name]}"
    assert METHODS["inpaint"]["janssen"].published.most == METHODS["inpaint"]["janssen"].most


BAD = [
    ({}, "preset published goes with the method a-spade, s-spade, ss-ew, ss-pew or ar, not with auto"),
    ({"method": "diffusion"}, "preset published goes with the method .*, not with diffusion"),
    ({"method": "blend"}, "preset published goes with the method .*, not with blend"),
    ({"method": "ar", "quality": "best"}, "quality is nothing for the preset published"),
    ({"method": "ar", "quality": "balanced"}, "quality is nothing for the preset published"),
    ({"method": "ar", "steps": 4}, "steps is nothing for the method ar, which evaluates no network"),
    ({"method": "ar", "model": "wiener"}, "model is nothing for the method ar"),
    ({"method": "ar", "guidance": "rg"}, "guidance is nothing for the method ar"),
    ({"method": "ar", "samples": 2}, "samples is nothing for the method ar"),
]


@pytest.mark.parametrize(("options", "sentence"), BAD, ids=[str(options) for options, _ in BAD])
def test_what_does_not_fit_is_refused(options: dict, sentence: str) -> None:
    y, _ = clipped(0.3)
    with pytest.raises(UsageError, match=sentence):
        audiomend.declip(y, RATE, preset="published", **options)


def test_verbs_and_walks_that_have_none() -> None:
    y, _ = clipped(0.3)
    goes = "it goes with methods of declip and inpaint"
    with pytest.raises(UsageError, match=f"preset published is nothing for extend; {goes}"):
        audiomend.extend(y, RATE, cutoff_hz=3000.0, method="replication", preset="published")
    with pytest.raises(UsageError, match="published goes with the method janssen or a-spain, not with sim"):
        audiomend.inpaint(y, RATE, gaps=[(0.01, 0.02)], method="similarity", preset="published")
    with pytest.raises(UsageError, match=f"preset published is no walk of the prior; {goes}"):
        audiomend.generate(0.1, model="wiener", preset="published")
    with pytest.raises(UsageError, match=r"The preset publishd is unknown; .* Did you mean published"):
        audiomend.declip(y, RATE, preset="publishd", model="wiener")
    with pytest.raises(UsageError, match=r"The method a-spain fills gaps of up to 0\.12 s"):
        audiomend.inpaint(np.tile(y, 4), RATE, gaps=[(0.1, 0.3)], method="a-spain", preset="published")


def test_soft_clipping_refuses_what_hard_clipping_does() -> None:
    """Though the curve may leave nothing to the method."""
    source = ArrayReader(0.3 * np.tanh(PIANO[None, :9000] / 0.3), RATE)
    bent = Bent((Bend("tanh", 0.3, None),))
    with pytest.raises(UsageError, match="not with blend"):
        prepare(source, bent, 1.0, Options(method="blend", preset="published"))


def test_the_benchmark_measures_it() -> None:
    y, _ = clipped(0.3, frames=9000)
    observation = y[None].astype(np.float32)
    z = restore(parse_method("ar@preset=published"), observation, RATE, Damage("declip", 3.0, 0.27), seed=1)
    expected = audiomend.declip(observation, RATE, method="ar", preset="published")
    np.testing.assert_array_equal(z, expected)
    assert (z != restore(parse_method("ar"), observation, RATE, Damage("declip", 3.0, 0.27), seed=1)).any()


def test_channels_with_gaps_of_their_own_are_filled_as_one_by_one() -> None:
    y = np.stack([PIANO[:20_000], PIANO[3000:23_000]])
    damage = Gaps((((9000, 9300),), ((9500, 9700),)))
    method = METHODS["inpaint"]["janssen"].published
    assert method is not None
    source = ArrayReader(y, RATE)
    work = parts(source, damage, method)
    ((start, piece),) = restored(source, damage, method, 0.4, work, lambda _: None)
    for row, (first, end) in enumerate(((9000, 9300), (9500, 9700))):
        alone = audiomend.inpaint(
            y[row], RATE, gaps=[(first / RATE, end / RATE)], method="janssen", preset="published"
        )
        np.testing.assert_allclose(piece[row, first - start : end - start], alone[first:end], atol=1e-9)
