"""What holds for any sound: its shape stays, what comes is finite, and twice the same comes twice.

Sounds cost milliseconds an example, so few are tried;
`python -m pytest --hypothesis-profile ci tests/test_properties.py` tries 200.
"""

import json
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from jsonschema import Draft202012Validator
from numpy.typing import NDArray

import audiomend
from audiomend.audio.resample import resample, resampled_length
from audiomend.cli.console import as_document
from audiomend.cli.inspect import as_json
from audiomend.cli.schemas import inspect_schema, plan_schema
from audiomend.detect.diagnosis import Examination
from audiomend.restorers.inspection import Inspection
from audiomend.restorers.plan import from_json, plan_of, to_json

Array = NDArray[Any]
RATES = (1000, 8000, 11_025, 44_100, 96_000, 768_000)
DTYPES = ("float32", "float64", "int16", "int32", "float16")
CI = settings.get_profile("ci").max_examples
IS_CI = settings().max_examples == CI
SOME = settings(max_examples=CI if IS_CI else 10, deadline=None, derandomize=True)
MANY = settings(max_examples=CI, deadline=None, derandomize=True)


@st.composite
def sounds(draw: st.DrawFn) -> tuple[Array, int]:
    """(time,) or (channels, time) of any type, and a rate: noise, tones, silence, steps, single samples."""
    channels, frames = draw(st.integers(0, 3)), draw(st.sampled_from((1, 2, 3, 17, 100, 1023, 4097)))
    shape = (frames,) if channels == 0 else (channels, frames)
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    time = np.arange(frames)
    kind = draw(st.sampled_from(("noise", "tone", "silence", "constant", "impulse", "square", "holes")))
    x = {
        "noise": lambda: random.standard_normal(shape),
        "tone": lambda: np.broadcast_to(np.sin(2 * np.pi * random.uniform(0, 0.5) * time), shape),
        "silence": lambda: np.zeros(shape),
        "constant": lambda: np.full(shape, random.uniform(-1, 1)),
        "impulse": lambda: np.where(np.broadcast_to(time == frames // 2, shape), 1.0, 0.0),
        "square": lambda: np.broadcast_to(np.sign(np.sin(0.05 * time)), shape),
        "holes": lambda: random.standard_normal(shape) * (random.random(shape) < 0.9),
    }[kind]()
    x = np.clip(x * draw(st.sampled_from((1e-6, 0.1, 1.0))), -1, draw(st.sampled_from((0.05, 0.3, 1.0))))
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    if dtype.kind == "i":
        return (x * np.iinfo(dtype).max).astype(dtype), draw(st.sampled_from(RATES))
    return x.astype(dtype), draw(st.sampled_from(RATES))


VERBS: dict[str, Callable[[Array, int], Array]] = {
    "declip": lambda x, rate: audiomend.declip(x, rate, method="ar"),
    "declip a-spade": lambda x, rate: audiomend.declip(
        x,
        min(rate, 11_025),  # frames are as long in seconds, and as slow
        method="a-spade",
        clip_level=0.3,
    ),
    "declip blend": lambda x, rate: audiomend.declip(x, rate, quality="fast", clip_level=0.3),
    "declick": lambda x, rate: audiomend.declick(x, rate),
    "inpaint": lambda x, rate: audiomend.inpaint(x, rate, method="similarity"),
    "inpaint janssen": lambda x, rate: audiomend.inpaint(x, rate, method="janssen"),
    "extend": lambda x, rate: audiomend.extend(x, rate, method="replication", cutoff_hz=200.0),
}


@pytest.mark.parametrize("verb", VERBS)
@SOME
@given(sound=sounds())
def test_shape_stays_and_what_comes_is_finite_and_the_same_again(verb: str, sound: tuple[Array, int]) -> None:
    x, rate = sound
    before = x.copy()
    y = VERBS[verb](x, rate)
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    assert np.array_equal(VERBS[verb](x, rate), y)
    assert np.array_equal(x, before)
    if not x.any():
        assert not y.any()


@SOME
@given(sound=sounds())
def test_what_is_restored_is_what_the_report_says(sound: tuple[Array, int]) -> None:
    x, rate = sound
    y, told = audiomend.restore(x, rate, skip=["gaps"])
    assert y.shape == x.shape
    assert np.isfinite(y).all()
    changed = y != x
    assert changed.sum() <= told.changed  # integers may round to what they were
    inside = np.zeros(x.shape[-1], bool)
    for start, stop in told.intervals:
        inside[start:stop] = True
    assert not changed[..., ~inside].any()


@SOME
@given(sound=sounds(), cuts=st.lists(st.integers(0, 4097), max_size=4))
def test_a_diagnosis_does_not_know_of_blocks(sound: tuple[Array, int], cuts: list[int]) -> None:
    x, rate = sound
    rows = np.atleast_2d(x).astype(np.float64)
    whole, parts = (Examination(len(rows), rate) for _ in range(2))
    whole.add(rows)
    for start, stop in pairwise([0, *sorted(cuts), rows.shape[1]]):
        parts.add(rows[:, start:stop])
    for one, other in zip(whole.diagnosis().findings, parts.diagnosis().findings, strict=True):
        assert one.damage == other.damage
        assert one.places == other.places
        assert one.confidence == pytest.approx(other.confidence, abs=1e-6)


@pytest.mark.parametrize("rate", [8000, 44_100])
def test_sounds_of_any_length_are_inspected(rate: int) -> None:
    x = 0.1 * np.random.default_rng(0).standard_normal(rate)
    for frames in range(1, 300 * rate // 1000, 12 * rate // 1000):
        assert audiomend.inspect(x[:frames], rate).frames == frames


@SOME
@given(sound=sounds())
def test_any_diagnosis_is_as_the_schema_says_and_makes_a_plan(sound: tuple[Array, int]) -> None:
    x, rate = sound
    found = audiomend.inspect(x, rate)
    told = json.loads(json.dumps(as_document("inspect", as_json(Inspection("a", "", found, ())))))
    Draft202012Validator(inspect_schema()).validate(told)
    plan = plan_of(found)
    Draft202012Validator(plan_schema()).validate(json.loads(to_json(plan)))
    assert from_json(to_json(plan)) == plan


@MANY
@given(
    x=arrays(np.float64, st.tuples(st.integers(1, 3), st.integers(1, 500)), elements=st.floats(-1, 1)),
    rates=st.tuples(st.sampled_from(RATES[:5]), st.sampled_from(RATES[:5])),
)
def test_there_and_back_has_the_length_and_level_of_before(x: Array, rates: tuple[int, int]) -> None:
    there = resample(x, *rates)
    assert there.shape == (x.shape[0], resampled_length(x.shape[1], *rates))
    assert np.isfinite(there).all()
    back = resample(there, *rates[::-1]) if there.shape[1] else there
    assert abs(back.shape[1] - x.shape[1]) <= max(1, rates[0] // (2 * rates[1]) + 1)
    if rates[0] == rates[1]:
        assert np.array_equal(back, x)
