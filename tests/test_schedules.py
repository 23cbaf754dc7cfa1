"""Noise levels: their ends, their spacing, and what they refuse."""

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.schedules import karras, linear, log

SCHEDULES = [karras, log, linear]


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_levels_fall_from_the_highest_to_the_lowest_and_then_to_zero(schedule):
    levels = schedule(9, 0.02, 3.0)
    assert len(levels) == 10
    assert levels[0] == pytest.approx(3.0, rel=1e-12)
    assert levels[-2] == pytest.approx(0.02, rel=1e-12)
    assert levels[-1] == 0
    assert (np.diff(levels) < 0).all()


@pytest.mark.parametrize(
    ("levels", "straight"),
    [
        (karras(9, 0.02, 3.0), lambda level: level ** (1 / 7)),
        (karras(9, 0.02, 3.0, rho=13), lambda level: level ** (1 / 13)),
        (log(9, 0.02, 3.0), np.log),
        (linear(9, 0.02, 3.0), lambda level: level),
    ],
)
def test_steps_are_equal_on_the_scale_of_the_schedule(levels, straight):
    steps = np.diff(straight(np.array(levels[:-1])))
    np.testing.assert_allclose(steps, steps[0], rtol=1e-9)


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_single_step_goes_from_the_highest_level_to_zero(schedule):
    assert schedule(1, 0.02, 3.0) == pytest.approx([3.0, 0.0])


@pytest.mark.parametrize("schedule", SCHEDULES)
def test_a_walk_may_stay_at_one_level(schedule):
    assert schedule(3, 0.5, 0.5) == pytest.approx([0.5, 0.5, 0.5, 0.0])


@pytest.mark.parametrize("schedule", SCHEDULES)
@pytest.mark.parametrize(
    ("steps", "lowest", "highest", "named"), [(0, 0.1, 1, "0 steps"), (4, 0, 1, "0"), (4, 2, 1, "2")]
)
def test_what_does_not_fall_towards_zero_is_refused(schedule, steps, lowest, highest, named):
    with pytest.raises(UsageError, match=named):
        schedule(steps, lowest, highest)
