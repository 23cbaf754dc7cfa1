"""A threshold that falls: its lean transform, and the splitting against a plain form of it."""

import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.classical.thresholding import (
    FINISH,
    SOFT,
    USUAL,
    Thresholding,
    bounded,
    shares,
    thresholded,
)
from audiomend.operators.hard_clip import HardClip

GOLDEN = Path(__file__).parents[1] / "golden" / "declip_piano.npz"
SMALL = Thresholding(window=32, first=0.3, last=1e-2, steps=7, rms=None)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def tones(time: int, seed: int = 0) -> Tensor:
    places = torch.arange(time, dtype=torch.float64)
    return (places * 0.31 + seed).sin() + 0.5 * (places * 0.83).sin() + 0.02 * noise(time, seed=seed)


def plain(
    x: Tensor, lower: Tensor, upper: Tensor, settings: Thresholding, around: tuple[int, int] = (1, 1)
) -> NDArray[np.float64]:
    """Frame by frame, with two-sided spectra and the splitting as printed; around is (frames, bins)."""
    w, time = settings.window, len(x)
    size = time + w + -time % w
    signal, low, high = (np.pad(part.numpy(), (0, size - time)) for part in (x, lower, upper))
    hann = np.sqrt(0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(w) - w // 2) / w))
    at = [(n * w // 2 + np.arange(w) - w // 2) % size for n in range(2 * size // w)]
    v = np.zeros((len(at), w), dtype=complex)
    for i in range(settings.steps):
        v = v + [np.fft.fft(signal[place] * hann, norm="ortho") for place in at]
        kept = plain_share(v, i, settings, around) * v
        signal = np.zeros(size)
        for place, spectrum in zip(at, 2 * kept - v, strict=True):
            signal[place] += np.fft.ifft(spectrum, norm="ortho").real * hann
        signal, v = np.clip(signal, low, high), v - kept
    return signal[:time]


def plain_share(
    v: NDArray[np.complex128], i: int, settings: Thresholding, around: tuple[int, int]
) -> NDArray[np.float64]:
    """What step i keeps of two-sided spectra (frames, window)."""
    half = settings.window // 2
    threshold = settings.first * (settings.last / settings.first) ** (i / (settings.steps - 1))
    khz = np.arange(half + 1) * settings.rate / settings.window / 1000
    threshold = threshold * (np.sqrt(khz**2 + 1) / 2) ** settings.rising
    power = np.abs(v[:, : half + 1]) ** 2
    for axis, n in enumerate(around):
        sides = [(n // 2, n // 2) if axis == a else (0, 0) for a in range(2)]
        wide = np.pad(power, sides, mode="symmetric")
        length = power.shape[axis]
        power = np.mean([np.take(wide, range(k, k + length), axis) for k in range(n)], axis=0)
    share = np.where(power >= threshold**2, 1.0, 0.0)
    if not settings.hard:
        share *= 1 - threshold**2 / np.maximum(power, threshold**2)
    return np.concatenate((share, share[:, -2:0:-1]), axis=1)


def bounds(y: Tensor, low: float, high: float) -> tuple[Tensor, Tensor]:
    return torch.where(y <= low, -math.inf, y), torch.where(y >= high, math.inf, y)


def test_shares_are_whole_or_those_of_wiener() -> None:
    power = torch.tensor([0.0, 0.99, 1.0, 4.0])
    assert shares(power.clone(), 1.0, hard=True).tolist() == [0, 0, 1, 1]
    assert shares(power.clone(), 1.0, hard=False).tolist() == pytest.approx([0, 0, 0, 0.75])
    assert shares(power.clone(), 0.5, hard=False).tolist() == pytest.approx([0, 1 - 1 / 3.96, 0.75, 15 / 16])


@pytest.mark.parametrize("around", [(1, 1), (3, 1), (3, 5)])
@pytest.mark.parametrize("hard", [True, False])
def test_it_is_the_plain_form(hard: bool, around: tuple[int, int]) -> None:
    y = tones(150).clamp(-0.9, 0.7)
    lower, upper = bounds(y, -0.9, 0.7)
    settings = replace(SMALL, hard=hard, around=around, rising=0.4, rate=9000.0)
    signal = bounded(y, lower, upper, settings)
    torch.testing.assert_close(signal.numpy(), plain(y, lower, upper, settings, around), rtol=0, atol=1e-10)
    assert (signal - y)[y == 0.7].norm() > 0.1
    start = y * 1.3
    other = bounded(start, lower, upper, settings)
    torch.testing.assert_close(
        other.numpy(), plain(start, lower, upper, settings, around), rtol=0, atol=1e-10
    )
    assert (signal - other).norm() > 1e-3


def test_a_start_and_levels_are_those_that_are_given() -> None:
    x = torch.stack([tones(200), 2 * tones(200, 1)])
    clip = HardClip(torch.tensor([[-0.9], [-1.2]]), torch.tensor([[0.7], [math.inf]]))
    y, start = clip.forward(x), 0.9 * x
    for row in range(2):
        low, high = (float(level[row]) for level in clip.levels(y))
        lower, upper = bounds(y[row], low, high)
        for begin, given in ((y, None), (start, start)):
            expected = bounded(begin[row], lower, upper, SMALL)
            torch.testing.assert_close(thresholded(y, clip, SMALL, given)[row], expected)


def test_known_samples_stay_to_the_bit_and_peaks_come_back() -> None:
    x = torch.stack([tones(500), tones(500, 1)]).float()
    clip = HardClip(torch.tensor([[-0.8], [-1.0]]), torch.tensor([[0.7], [math.inf]]))
    y = clip.forward(x)
    for kind in (USUAL, SOFT):
        signal = thresholded(y, clip, replace(kind, window=64))
        assert signal.dtype == torch.float32
        assert torch.equal(clip.forward(signal), y)
        assert (signal - x)[y != x].norm() < 0.4 * (y - x)[y != x].norm()


def test_the_level_does_not_matter_unless_it_is_left() -> None:
    y, clip = tones(300).clamp(-1, 1), HardClip(-1, 1)
    settings = replace(SMALL, rms=0.3)
    signal = thresholded(y, clip, settings)
    torch.testing.assert_close(64 * thresholded(y / 64, HardClip(-1 / 64, 1 / 64), settings), signal)
    gain = 0.3 / y.square().mean().sqrt()
    levelled = thresholded(y * gain, HardClip(-gain, gain), SMALL) / gain
    torch.testing.assert_close(levelled, signal)
    assert (thresholded(y, clip, SMALL) - signal).norm() > 1e-3
    assert not thresholded(torch.zeros(300), clip, settings).any()


def test_the_end_is_kept_apart_from_the_beginning() -> None:
    y = torch.cat((tones(100).clamp(-0.9, 0.7), torch.zeros(28, dtype=torch.float64)))
    louder = torch.cat((y[:100], 0.5 * noise(28)))
    once = replace(SMALL, steps=1)
    first, second = (thresholded(x, HardClip(-0.9, 0.7), once)[:16] for x in (y, louder))
    torch.testing.assert_close(first, second)


def test_settings_are_those_that_were_chosen() -> None:
    assert Thresholding(8192, 2.0, 4e-3, 150, (1, 1), True, 0.0, 44_100, 0.15) == USUAL
    assert Thresholding(8192, 2.0, 1e-2, 150, (3, 1), False, 0.5, 44_100, 0.15) == SOFT
    assert Thresholding(8192, 6e-2, 2e-3, 150, (3, 1), False, 0.5, 44_100, 0.15) == FINISH
    assert SMALL.schedule().tolist() == pytest.approx([0.3 * 30 ** (-i / 6) for i in range(7)])


def test_on_a_piano_it_is_as_good_as_published_a_spade() -> None:
    golden = np.load(GOLDEN)
    level, x = float(golden["level"]), torch.from_numpy(golden["clean"]).float() / 32768
    y, clip = x.clamp(-level, level), HardClip(-level, level)
    published = (torch.from_numpy(golden["aspade_signal"]) - x).norm()
    assert (thresholded(y, clip, USUAL) - x).norm() < published * 10 ** (0.5 / 20)
