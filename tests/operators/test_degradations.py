"""Truths of the damages that `degrade` makes: soft clipping, dropouts, clicks."""

import math

import pytest
import torch

from audiomend.errors import UsageError
from audiomend.operators.click import Clicks
from audiomend.operators.dropout import Dropout
from audiomend.operators.soft_clip import SoftClip, level_for_sdr

RATE = 8000


def noise(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=dtype)


# --- Soft clipping ------------------------------------------------------------------------------------


def test_soft_clipping_is_linear_when_quiet_and_bounded_when_loud():
    operator = SoftClip(0.5)
    quiet = torch.tensor([1e-5, -1e-5], dtype=torch.float64)
    torch.testing.assert_close(operator.forward(quiet), quiet, rtol=1e-9, atol=0)
    assert operator.forward(torch.tensor([0.5])).item() == pytest.approx(0.5 * math.tanh(1))
    assert operator.forward(torch.tensor([100.0, -100.0])).tolist() == [0.5, -0.5]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_soft_clipping_is_undone(dtype):
    operator, x = SoftClip(0.7), noise(2, 3, 50, dtype=dtype)
    y = operator.forward(x)
    torch.testing.assert_close(operator.pinv(y), x, rtol=0, atol=1e-9 if dtype == torch.float64 else 2e-3)
    torch.testing.assert_close(operator.forward(operator.project(x, y)), y)
    beyond = operator.pinv(torch.tensor([0.7, -0.8, 2.0], dtype=dtype))
    assert beyond.isfinite().all()
    assert (beyond.sign() == torch.tensor([1, -1, 1])).all()
    told = operator.condition(y)
    assert told.unknown.all()
    assert torch.equal(told.observation, y)


@pytest.mark.parametrize("sdr_db", [0.5, 3, 10, 30, 80])
def test_the_level_leaves_the_sdr_that_is_asked_for(sdr_db):
    x = noise(3, 1000)
    level = level_for_sdr(lambda: x.split(1), sdr_db)
    error = x - SoftClip(level).forward(x)
    assert 20 * math.log10(x.norm() / error.norm()) == pytest.approx(sdr_db, abs=1e-6)


def test_what_cannot_be_is_named():
    for sdr_db in (0.0, -3, 101, math.nan):
        with pytest.raises(UsageError, match="sdr_db is"):
            level_for_sdr(lambda: [noise(10)], sdr_db)
    for x in (torch.zeros(10), torch.tensor([math.inf])):
        with pytest.raises(UsageError, match="silent or not finite"):
            level_for_sdr(lambda x=x: [x], 10)
    for level in (0.0, -1, math.nan):
        with pytest.raises(UsageError, match="level is"):
            SoftClip(level)


# --- Dropouts -----------------------------------------------------------------------------------------


def test_a_dropout_by_hand():
    operator = Dropout.at([(3, 10)], depth_db=20, fade=1, start=0, stop=12)
    half = 10**-0.5
    expected = [1, 1, 1, half, 0.1, 0.1, 0.1, 0.1, 0.1, half, 1, 1]
    torch.testing.assert_close(operator.gain, torch.tensor(expected, dtype=torch.float64))
    part = Dropout.at([(3, 10)], depth_db=20, fade=1, start=4, stop=8)
    assert torch.equal(part.gain, operator.gain[4:8])
    assert Dropout.at([], 20, 1, 0, 3).gain.tolist() == [1, 1, 1]
    both = Dropout.at([(3, 8), (6, 10)], depth_db=20, fade=1, start=0, stop=12)  # no deeper where they meet
    torch.testing.assert_close(both.gain, operator.gain)


def test_a_dropout_is_its_own_adjoint_and_is_undone_where_something_is_left():
    operator = Dropout(torch.tensor([1.0, 0.5, 0.0, 0.1]).double())
    x, v = noise(5, 4), noise(5, 4, seed=1)
    torch.testing.assert_close((operator.forward(x) * v).sum(), (x * operator.adjoint(v)).sum())
    y = operator.forward(x)
    torch.testing.assert_close(operator.pinv(y), x * torch.tensor([1.0, 1, 0, 1]))
    assert operator.pinv(torch.ones(4).double()).tolist() == pytest.approx([1, 2, 0, 10])
    z = operator.project(v, y)
    torch.testing.assert_close(operator.forward(z), y)
    torch.testing.assert_close(z, torch.where(operator.gain > 0, x, v))
    assert operator.condition(y).unknown.tolist() == [[0, 1, 1, 1]] * 5


def test_impossible_dropouts_are_named():
    with pytest.raises(UsageError, match="a gain is below 0"):
        Dropout(torch.tensor([1.0, -0.1]))
    with pytest.raises(UsageError, match="depth_db is 0"):
        Dropout.at([(0, 1)], 0, 1, 0, 2)


# --- Clicks -------------------------------------------------------------------------------------------


def test_clicks_are_added_and_taken_away():
    operator, x = Clicks(torch.tensor([0.0, 0.5, -0.2, 0])), noise(2, 4)
    y = operator.forward(x)
    torch.testing.assert_close(y - x, operator.added.double().expand(2, 4))
    torch.testing.assert_close(operator.project(noise(2, 4, seed=2), y), x)
    told = operator.condition(y)
    assert told.unknown.tolist() == [[0, 1, 1, 0]] * 2
    assert not told.observation[:, 1:3].any()
    assert torch.equal(told.observation[:, ::3], y[:, ::3])


def test_random_clicks_are_as_many_as_long_and_as_loud_as_said():
    seconds, rate = 60, 44_100
    added = Clicks.random(0, seconds * rate, rate, per_second=5, peak=0.4, seed=3).added
    edges = torch.nn.functional.pad(added != 0, (1, 1)).to(torch.int8).diff()
    starts, ends = (edges == 1).nonzero()[:, 0], (edges == -1).nonzero()[:, 0]
    lengths = ends - starts
    assert len(starts) == pytest.approx(300, abs=4 * 300**0.5)
    in_each = torch.bincount(starts // rate, minlength=seconds).double()
    assert 0.4 < in_each.var() / in_each.mean() < 1.8  # 1 of a Poisson number
    assert lengths.min() == 1
    assert 50 <= lengths.max() <= 120  # two may meet
    assert 5 <= lengths.float().median() <= 11  # the geometric mean of 1 and 60 is 7.7
    first, last = (
        torch.stack([added[p:q].square().sum() for p, q in zip(left, right, strict=True)]).sum()
        for left, right in ((starts, (starts + ends) // 2), ((starts + ends) // 2, ends))
    )
    assert first > 4 * last  # they decay
    peaks = torch.stack([added[a:b].abs().max() for a, b in zip(starts, ends, strict=True)])
    assert peaks.max() == pytest.approx(0.4, rel=0.03)
    assert peaks.min() == pytest.approx(0.04, rel=0.03)
    assert peaks.log10().median() == pytest.approx(math.log10(0.4) - 0.5, abs=0.12)


def test_random_clicks_are_a_function_of_their_place():
    """However dense they are: of this seed one lies across the start of each stretch, and of a second."""
    for per_second, seed in ((20, 1), (RATE / 4, 4)):
        whole = Clicks.random(0, 3 * RATE, RATE, per_second, 1.0, seed).added
        for start, stop in ((0, 100), (RATE - 3, RATE + 50), (RATE, RATE + 50), (12_345, 3 * RATE)):
            part = Clicks.random(start, stop, RATE, per_second, 1.0, seed).added
            assert torch.equal(part, whole[start:stop])
        first, second, third = whole.split(RATE)
        assert not first.equal(second)
        assert not second.equal(third)
        assert not torch.equal(Clicks.random(0, 3 * RATE, RATE, per_second, 1.0, seed + 1).added, whole)


@pytest.mark.parametrize(("per_second", "peak"), [(0.0, 1.0), (1.0, 0.0), (math.nan, 1.0), (1.0, math.inf)])
def test_impossible_clicks_are_named(per_second, peak):
    with pytest.raises(UsageError, match="it must be above 0"):
        Clicks.random(0, 10, RATE, per_second, peak, seed=0)
