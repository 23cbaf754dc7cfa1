"""What was found and done, in words and numbers."""

from dataclasses import replace

import numpy as np
import pytest

from audiomend.audio.blocks import Assembly
from audiomend.audio.file import Survey
from audiomend.audio.formats import Format
from audiomend.cli import console, summary
from audiomend.restorers.damage import Gaps
from audiomend.restorers.files import Outcome, Plan, Request
from audiomend.restorers.locate import Found
from audiomend.restorers.options import QUALITY_STEPS, Options

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
    method="diffusion",
    settings="momentum, projection",
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


@pytest.mark.parametrize(
    ("damage", "hint", "is_copy", "said"),
    [
        (None, "--gap names one", True, "clipped at 0.5, so out.wav is a copy of the input; --gap names one"),
        (None, "--gap names one", False, "clipped at 0.5, so nothing was mended in out.wav; --gap names one"),
        (Gaps(((),)), "", True, "clipped at 0.5, but out.wav is a copy of the input"),
    ],
)
def test_nothing_to_do(damage: Gaps | None, hint: str, is_copy: bool, said: str) -> None:
    plan = replace(PLAN, found=Found(damage, "clipped at 0.5", {}, hint))
    assembly = Assembly(Format("WAV", "PCM_16"), 1.0, 0, is_copy=is_copy)
    outcome = replace(OUTCOME, plan=plan, assembly=assembly, survey=Survey(1000, 0.75, ()), steps=0)
    assert summary.after(REQUEST, outcome) == said
    assert summary.warnings(REQUEST, outcome) == []
    assert summary.as_json(REQUEST, outcome)["warnings"] == [said]


@pytest.mark.parametrize(
    ("chosen", "steps", "said"),
    [
        ({"quality": "fast"}, 8, "in 8 steps ("),
        ({"quality": "best"}, 31, "in 31 steps (32 asked for) ("),
        ({"steps": 9}, 10, "in 10 steps (9 asked for) ("),
        ({"steps": 9, "quality": "best"}, 9, "in 9 steps ("),
        ({"preset": "repaint"}, 2491, "in 2,491 steps ("),
        ({"steps": 2000}, 1, "in 1 step (2,000 asked for) ("),
    ],
)
def test_steps_that_cannot_be_had_are_told(chosen: dict[str, object], steps: int, said: str) -> None:
    request = replace(REQUEST, options=Options(**chosen))  # pyright: ignore[reportArgumentType]
    assert said in summary.after(request, replace(OUTCOME, steps=steps))
    asked = chosen.get("steps") or QUALITY_STEPS.get(str(chosen.get("quality")))
    assert summary.as_json(request, OUTCOME)["settings"]["steps_asked"] == asked


@pytest.mark.parametrize(
    ("verb", "preset", "published", "fewest"),
    [
        ("declip", "cqtdiff-dc", "279", 140),
        ("inpaint", "cqtdiff-dc", "69", 35),
        ("extend", "dps", "1,000", 500),
    ],
)
def test_a_preset_with_too_few_steps_is_warned_of(
    verb: str, preset: str, published: str, fewest: int
) -> None:
    request = Request(verb, "in.wav", "out.wav", Options(preset=preset))
    assembly = replace(OUTCOME.assembly, gain=1.0, clamped=0, warnings=())
    outcome = replace(OUTCOME, survey=Survey(1000, 0.75, ()), assembly=assembly)
    assert summary.warnings(request, replace(outcome, steps=fewest - 1)) == [
        f"{preset} was published with {published} steps; with fewer than {fewest} (here {fewest - 1}) it may "
        "do worse than no preset at all"
    ]
    assert summary.warnings(request, replace(outcome, steps=fewest)) == []
    assert summary.warnings(request, replace(outcome, steps=0)) == []  # nothing was walked


def test_after() -> None:
    assert summary.after(REQUEST, OUTCOME) == (
        "out.wav: 42 samples changed (2.1%), by prior in 8 steps (bfloat16, seed 9), in 1 min 1 s; "
        "what was filled in is invented"
    )


def test_after_a_method_without_a_prior() -> None:
    outcome = replace(OUTCOME, method="ar", settings="frames of 8192", model="", steps=0, precision="")
    assert summary.after(REQUEST, outcome).startswith(
        "out.wav: 42 samples changed (2.1%), by ar (frames of 8192), in 1 min 1 s"
    )


def test_after_several_methods_all_are_named() -> None:
    outcome = replace(OUTCOME, method="janssen for 2 gaps of 0.05 s, diffusion for 1 gap of 1 s")
    assert f"by {outcome.method}: prior in 8 steps (" in summary.after(REQUEST, outcome)


def test_what_a_curve_is_inverted_to_is_not_invented() -> None:
    outcome = replace(OUTCOME, method="inverse curve", settings="tanh towards 0.4", model="")
    assert summary.after(REQUEST, outcome).endswith("by inverse curve (tanh towards 0.4), in 1 min 1 s")
    some = replace(outcome, method="inverse curve, blend where it is flat")
    assert "what was filled in is invented" in summary.after(REQUEST, some)


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


def test_estimates_in_words() -> None:
    assert [console.about(seconds) for seconds in (0.3, 5.2)] == ["less than a second", "about 5 s"]


def test_sentences_hold_one_line_and_nothing_that_controls_a_terminal() -> None:
    assert console.sentence("a\nb.wav \x1b[31m is\ttoo long") == "a b.wav ?[31m is too long."
    assert console.sentence("Did you mean prior?") == "Did you mean prior?"


def test_json_refuses_what_is_no_json() -> None:
    with pytest.raises(ValueError, match="JSON"):
        console.print_json("mend", {"level": float(np.inf)})
