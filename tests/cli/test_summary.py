"""What was found and done, in words and numbers."""

import numpy as np
import pytest

from audiomend.audio.blocks import Assembly
from audiomend.audio.file import Survey
from audiomend.audio.formats import Format
from audiomend.cli import console, summary
from audiomend.restorers.files import Outcome, Plan, Request
from audiomend.restorers.frame import Options
from audiomend.restorers.locate import Found

REQUEST = Request("declip", "in.wav", "out.wav", Options(seed=9, quality="fast"), residue="r.wav")
PLAN = Plan(
    Found(None, "clipped at 0.5 of full scale", {"clip_low": [None]}),
    seconds=12.0,
    damaged_seconds=7.25,
    estimate_seconds=83.0,
)
OUTCOME = Outcome(
    plan=PLAN,
    survey=Survey(1000, 0.75, ("the header lies",)),
    assembly=Assembly(Format("FLAC", "PCM_24"), 0.5, 3, ("it is lossy",), 42, ((10, 30), (250, 275))),
    rate=100,
    channels=2,
    model="prior",
    precision="bfloat16",
    steps=8,
    started_from="noise alone",
    seconds=61.4,
    input_sha256="a",
    output_sha256="b",
)


def test_before() -> None:
    assert summary.before(PLAN, REQUEST) == (
        "in.wav: clipped at 0.5 of full scale; 7.2 of 12.0 s to be worked on, in about 1 min 23 s"
    )


def test_nothing_to_do() -> None:
    plan = Plan(PLAN.found, 12.0, 0.0, 0.0)
    assert summary.before(plan, REQUEST) == "in.wav: clipped at 0.5 of full scale; there is nothing to mend"


def test_after() -> None:
    assert summary.after(REQUEST, OUTCOME) == (
        "out.wav: 42 samples changed (2.1%), by prior in 8 steps (bfloat16, seed 9), in 1 min 1 s; "
        "what was filled in is invented"
    )


def test_warnings_are_those_of_input_and_output() -> None:
    assert summary.warnings(REQUEST, OUTCOME) == [
        "the header lies",
        "it is lossy",
        "the whole of out.wav is 6.02 dB quieter (gain 0.5000), so that its peaks fit; "
        "--clip-mode float keeps the level",
        "3 samples clamped to full scale; --clip-mode rescale or float keeps the peaks",
    ]


def test_an_output_at_its_level_gets_no_warning() -> None:
    assert summary.of_assembly("out.wav", Assembly(Format("FLAC", "PCM_24"), 1.0, 0, ())) == []


def test_as_data() -> None:
    said = summary.as_json(REQUEST, OUTCOME)
    assert said["input"] == {
        "path": "in.wav",
        "sha256": "a",
        "rate": 100,
        "channels": 2,
        "frames": 1000,
        "peak": 0.75,
    }
    assert said["output"] == {
        "path": "out.wav",
        "sha256": "b",
        "container": "FLAC",
        "subtype": "PCM_24",
        "gain": 0.5,
        "clamped_samples": 3,
    }
    assert said["found"] == {"summary": "clipped at 0.5 of full scale", "clip_low": [None]}
    assert said["changed"] == {
        "samples": 42,
        "share": 0.021,
        "stretches": 2,
        "stretches_s": [(0.1, 0.3), (2.5, 2.75)],
    }
    chosen = said["settings"]
    assert chosen["started_from"] == "noise alone"
    assert (chosen["seed"], chosen["quality"], chosen["steps"], chosen["model"]) == (9, "fast", 8, "prior")
    assert (said["estimate_s"], said["seconds"], said["residue"]) == (83.0, 61.4, "r.wav")
    assert said["warnings"] == summary.warnings(REQUEST, OUTCOME)


def test_gains_in_decibels() -> None:
    assert summary.decibels(10 ** (-7 / 20)) == pytest.approx(-7)


def test_counts_in_words() -> None:
    assert [summary.plural(n, "gap") for n in (1, 2, 1200)] == ["1 gap", "2 gaps", "1,200 gaps"]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0.2, "less than a second"),
        (1.4, "1 s"),
        (59.6, "1 min 0 s"),
        (200, "3 min 20 s"),
        (3599.7, "1 h 0 min"),
        (3900, "1 h 5 min"),
    ],
)
def test_durations_in_words(seconds: float, words: str) -> None:
    assert console.duration(seconds) == words


def test_sentences_hold_one_line_and_nothing_that_controls_a_terminal() -> None:
    assert console.sentence("a\nb.wav \x1b[31m is\ttoo long") == "a b.wav ?[31m is too long."
    assert console.sentence("Did you mean prior?") == "Did you mean prior?"


def test_json_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        console.print_json("mend", {"level": float(np.inf)})
