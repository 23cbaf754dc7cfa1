"""The text of a method, and how the verbs are called with it."""

import sys
from dataclasses import fields
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.damages import Damage
from audiomend.evaluation.methods import WALK, Method, parse_method, restore


def test_a_name_alone() -> None:
    assert parse_method("wiener") == Method("wiener", "wiener", ())


def test_options_are_numbers_truths_or_texts() -> None:
    got = parse_method("diffusion@steps=16,solver=unipc,strength=0.5,warm=True")
    assert (got.label, got.name) == ("diffusion@steps=16,solver=unipc,strength=0.5,warm=True", "diffusion")
    assert got.options == (("steps", 16), ("solver", "unipc"), ("strength", 0.5), ("warm", True))
    assert parse_method("diffusion@warm=false,seed=none").options == (("warm", False), ("seed", None))


@pytest.mark.parametrize("text", ["", "@steps=3", "a@steps", "a@=3", "a@steps=", "a@steps=3,"])
def test_what_is_not_a_method(text: str) -> None:
    with pytest.raises(UsageError, match="not a method"):
        parse_method(text)


CLIP = np.ones((2, 100), np.float32)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """A package whose verbs note how they were called and give back float64 zeros."""
    seen: list[Any] = []

    def verb(name: str) -> Any:
        def call(audio: Any, rate: int, **options: Any) -> Any:
            seen.append((name, audio, rate, options))
            return np.zeros(audio.shape)

        return call

    fake = SimpleNamespace(**{name: verb(name) for name in ("declip", "inpaint", "extend", "declick")})
    monkeypatch.setitem(sys.modules, "audiomend", fake)  # type: ignore[arg-type]
    return seen


def test_the_verb_of_the_task_is_called_with_the_options(calls: list[Any]) -> None:
    result = restore(parse_method("diffusion@steps=8"), CLIP, 100, Damage("declip", 3.0, 0.5), seed=4)
    assert calls == [("declip", CLIP, 100, {"method": "diffusion", "seed": 4, "steps": 8})]
    assert result.dtype == np.float32
    assert not result.any()


def test_fields_of_the_walk_are_handed_over_together(calls: list[Any]) -> None:
    restore(
        parse_method("diffusion@steps=8,solver=unipc,warm=False,xi=0.5"),
        CLIP,
        100,
        Damage("declip", 3.0, 0.5),
        seed=0,
    )
    assert calls[0][3] == {
        "method": "diffusion",
        "seed": 0,
        "steps": 8,
        "solver": "unipc",
        "walk": {"warm": False, "xi": 0.5},
    }


def test_a_preset_is_a_method(calls: list[Any]) -> None:
    restore(parse_method("cqtdiff-rg@steps=8,xi=0.5"), CLIP, 100, Damage("declip", 3.0, 0.5), seed=4)
    assert calls[0][3] == {"preset": "cqtdiff-rg", "seed": 4, "steps": 8, "walk": {"xi": 0.5}}


def test_inpaint_is_told_the_gaps_in_seconds(calls: list[Any]) -> None:
    restore(parse_method("diffusion"), CLIP, 100, Damage("inpaint", 50.0, gaps=((10, 15), (60, 65))), seed=0)
    assert calls[0][0] == "inpaint"
    assert calls[0][3]["gaps"] == [(0.1, 0.15), (0.6, 0.65)]


def test_extend_finds_the_cutoff_itself_unless_the_method_tells(calls: list[Any]) -> None:
    restore(parse_method("diffusion"), CLIP, 100, Damage("extend", 30.0), seed=0)
    restore(parse_method("diffusion@cutoff_hz=30"), CLIP, 100, Damage("extend", 30.0), seed=0)
    assert calls[0][0] == "extend"
    assert "cutoff_hz" not in calls[0][3]
    assert calls[1][3]["cutoff_hz"] == 30


def test_declick_has_no_prior_and_no_seed(calls: list[Any]) -> None:
    how = Damage("declick", 20.0, peak=0.5)
    for name in ("auto", "ar"):
        restore(parse_method(f"{name}@strength=0.5"), CLIP, 100, how, seed=4)
    assert [options for *_, options in calls] == [
        {"method": name, "strength": 0.5} for name in ("auto", "ar")
    ]
    with pytest.raises(UsageError, match="diffusion"):
        restore(parse_method("diffusion"), CLIP, 100, how, seed=0)


def test_damaged_gives_back_the_input(calls: list[Any]) -> None:
    np.testing.assert_array_equal(restore(parse_method("damaged"), CLIP, 100, Damage("declip", 3.0), 0), CLIP)
    assert not calls


def test_every_field_of_a_walk_can_be_compared() -> None:
    from audiomend.restorers.way import Way

    assert {*WALK, "steps", "guidance", "solver", "sampler"} == {field.name for field in fields(Way)}
