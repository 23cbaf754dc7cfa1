"""Dropouts lifted: the gain is that of the levels beside the edges, where the sound goes on inside."""

import math

import pytest
import torch
from torch import Tensor

from audiomend.classical.lifting import lift, likeness

RATE = 8000
START, STOP = 3000, 3400  # edges of 32 samples, 64 outside and inside of each are compared
GAIN = 10 ** (-30 / 20)


def rich() -> Tensor:
    """Partials of 125 Hz, whose period is the stretch that is compared: its level is the same everywhere."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    return sum((torch.sin(2 * math.pi * 125 * k * time + k) / k for k in range(1, 30)), torch.zeros(RATE))


def dropped(x: Tensor, gain: float = GAIN) -> Tensor:
    y = x.clone()
    y[START:STOP] *= gain
    return y


def test_a_fall_is_undone() -> None:
    assert lift(dropped(rich()), START, STOP, RATE) == pytest.approx(1 / GAIN)
    assert lift(dropped(rich(), 0.25), START, STOP, RATE) == pytest.approx(4)


@pytest.mark.parametrize(
    ("apart_db", "is_lifted"), [(11.9, True), (12.1, False), (-11.9, True), (-12.1, False)]
)
def test_both_ends_tell_the_gain_and_must_agree(apart_db: float, is_lifted: bool) -> None:
    y = dropped(rich())
    y[STOP:] *= 10 ** (apart_db / 20)
    found = lift(y, START, STOP, RATE)
    assert found == (pytest.approx(10 ** (apart_db / 40) / GAIN) if is_lifted else None)


@pytest.mark.parametrize(
    ("where", "counts"),
    [
        (slice(START, START + 32), False),
        (slice(STOP - 32, STOP), False),
        (slice(START + 96, STOP - 96), False),
        (slice(0, START - 64), False),
        (slice(STOP + 64, RATE), False),
        (slice(START + 32, START + 40), True),
        (slice(STOP - 40, STOP - 32), True),
        (slice(START + 90, START + 96), True),
        (slice(STOP - 96, STOP - 90), True),
        (slice(START - 64, START - 58), True),
        (slice(STOP + 58, STOP + 64), True),
        (slice(START - 6, START), True),
        (slice(STOP, STOP + 6), True),
    ],
)
def test_what_is_compared_lies_within_8_ms_of_edges_of_4_ms(where: slice, counts: bool) -> None:
    y = dropped(rich())
    y[where] *= 1.2
    assert (lift(y, START, STOP, RATE) != pytest.approx(1 / GAIN, rel=1e-9)) == counts


@pytest.mark.parametrize("side", [slice(START - 160, START - 64), slice(STOP + 64, STOP + 160)])
def test_the_whole_does_not_come_out_3_db_above_the_louder_side(side: slice) -> None:
    y = dropped(rich())
    middle = slice(START + 96, STOP - 96)
    y[middle] *= 4
    inside, beside = y[START + 32 : STOP - 32], y[START - 160 : START]
    most = 10 ** (3 / 20) * (beside.square().mean() / inside.square().mean()).sqrt()
    assert most < 0.6 / GAIN
    assert lift(y, START, STOP, RATE) == pytest.approx(float(most))
    y[side] *= 10
    assert lift(y, START, STOP, RATE) == pytest.approx(1 / GAIN)


def test_noise_in_place_of_the_sound_is_not_lifted() -> None:
    y = dropped(rich())
    y[START:STOP] = 0.01 * torch.randn(400, generator=torch.Generator().manual_seed(0), dtype=y.dtype)
    assert lift(y, START, STOP, RATE) is None
    y[START:STOP] = 0
    assert lift(y, START, STOP, RATE) is None


@pytest.mark.parametrize(("share", "is_lifted"), [(0.63, True), (0.57, False)])
@pytest.mark.parametrize("side", [slice(START, START + 200), slice(STOP - 200, STOP)])
def test_the_mean_likeness_of_both_ends_decides(side: slice, share: float, is_lifted: bool) -> None:
    """One end is the same sound; in the other a share of the magnitude is, and the rest lies elsewhere."""
    time = torch.arange(RATE, dtype=torch.float64) / RATE
    low, high = (torch.sin(2 * math.pi * hz * time) for hz in (500, 3000))
    y = dropped(low)
    y[side] = GAIN * (share * low + math.sqrt(1 - share**2) * high)[side]
    assert (lift(y, START, STOP, RATE) is not None) == is_lifted


@pytest.mark.parametrize(("start", "stop"), [(3000, 3095), (63, 463), (7537, 7937)])
def test_too_little_to_tell(start: int, stop: int) -> None:
    x = rich()
    x[start:stop] *= GAIN
    assert lift(x, start, stop, RATE) is None


@pytest.mark.parametrize(("start", "stop"), [(3000, 3096), (64, 464), (7536, 7936)])
def test_just_enough_to_tell(start: int, stop: int) -> None:
    x = rich()
    x[start:stop] *= GAIN
    assert lift(x, start, stop, RATE) == pytest.approx(1 / GAIN, rel=0.1)


@pytest.mark.parametrize(
    ("one_hz", "other_hz", "expected"),
    [
        (1050, 1350, 1),
        (1350, 1500, 0),
        (2900, 3900, 1),
        (200, 235, 1),
        (160, 200, 0),
        (40, 90, 1),
        (90, 150, 0),
    ],
)
def test_bands_are_half_octaves_from_125_hz(one_hz: float, other_hz: float, expected: float) -> None:
    time = torch.arange(4 * RATE, dtype=torch.float64) / RATE
    one, other = (torch.sin(2 * math.pi * hz * time) for hz in (one_hz, other_hz))
    assert likeness(one, other, RATE) == pytest.approx(expected, abs=0.02)
    mixed = 0.8 * one + 0.6 * other
    assert likeness(one, 3 * mixed, RATE) == pytest.approx(1 if expected else 0.8, abs=0.02)
