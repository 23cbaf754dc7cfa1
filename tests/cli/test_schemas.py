"""What programs read is what the schemas of docs/schemas say, and plans are taken exactly if they say so."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from audiomend.cli import schemas
from audiomend.errors import UsageError
from audiomend.restorers.plan import ORDER, from_json

FOLDER = Path(__file__).parents[2] / "docs" / "schemas"
RATE = 8000
QUICK = ("--quality", "fast", "--model", "wiener")
CLI = Path(schemas.__file__).parent


def validate(name: str, content: Any) -> None:
    Draft202012Validator(schemas.SCHEMAS[name]()).validate(content)


def damaged() -> np.ndarray:
    """Two channels of noise that swells, clipped, with an offset and a gap."""
    time = np.arange(3 * RATE) / RATE
    x = np.random.default_rng(0).standard_normal((2, len(time))) * 10 ** np.sin(2 * np.pi * 0.7 * time)
    x = np.clip(0.1 * x / x.std() + [[0.01], [0]], -0.2, 0.2)
    x[:, 8000:8400] = 0
    return x


@pytest.mark.parametrize("name", schemas.SCHEMAS)
def test_the_files_are_what_the_package_says(name: str) -> None:
    assert (FOLDER / f"{name}.json").read_text() == schemas.text(name)
    Draft202012Validator.check_schema(schemas.SCHEMAS[name]())


@pytest.mark.parametrize("samples", [damaged(), np.zeros((1, 100)), np.full((1, 1), 0.5)])
def test_what_is_told_is_as_its_schema_says(
    samples: np.ndarray, cli: Callable, write: Callable, tmp_path: Path
) -> None:
    source, plan, out = write("in.wav", samples), tmp_path / "plan.json", tmp_path / "out.wav"
    inspected = cli("inspect", source, "--json", "--plan", plan)
    assert inspected.code == 0
    validate("inspect", inspected.json)
    validate("plan", json.loads(plan.read_text()))
    restored = cli("restore", source, out, *QUICK, "--json", "--skip", "offset", "--skip", "band")
    assert restored.code == 0
    validate("restore", restored.json)


def test_pipes_are_told_of_as_well(cli: Callable, write: Callable) -> None:
    content = write("in.wav", damaged()).read_bytes()
    validate("inspect", cli("inspect", "-", "--json", stdin=content).json)


def test_many_files_are_told_of_as_well(cli: Callable, write: Callable, tmp_path: Path) -> None:
    inspected = cli("inspect", write("in.wav", damaged()), tmp_path / "lost.wav", "--json")
    assert ["inspection" in file for file in inspected.json["files"]] == [True, False]
    validate("inspections", inspected.json)
    for wrong in ({"path": ""}, {**inspected.json["files"][0], "error": ""}, {"path": "", "error": None}):
        with pytest.raises(ValidationError):
            validate("inspections", {**inspected.json, "files": [wrong]})


def test_presets_are_told_as_their_schema_says(cli: Callable) -> None:
    told = cli("presets", "--json").json
    validate("presets", told)
    for rows, name, value in (
        ("presets", "settings", {}),
        ("presets", "cost", None),
        ("published", "verb", ""),
    ):
        with pytest.raises(ValidationError):
            validate("presets", {**told, rows: [{**told[rows][0], name: value}]})


def test_all_that_is_printed_has_a_schema() -> None:
    files = "".join(path.read_text() for path in CLI.glob("*.py"))
    kinds = re.findall(r'print_json(?:_list)?\("(\w+)"', files)
    assert sorted([*kinds, "plan"]) == sorted(schemas.SCHEMAS)


TOLD: dict[str, set[str]] = {
    "declip clipped.wav out.wav --quality fast": set(),
    "declip clipped.wav out.wav --clip-level 0.3 --method ar --region 0.1-0.2": set(),
    "declip bent.wav out.wav": set(),
    "declip quiet.wav out.wav": set(),
    "declick quiet.wav out.wav --residue residue.wav": set(),
    "inpaint holed.wav out.wav --model wiener --steps 2 --samples 2 --preview-steps steps": set(),
    "inpaint holed.wav out.wav --gap 0.5-0.51 --band 1k-2k --model wiener --steps 2": {"found"},  # the bands
    "inpaint quiet.wav out.wav --preset published --method janssen": set(),
    "extend quiet.wav out.wav --cutoff-hz 2000 --preset dps --model wiener --steps 2": set(),
    "extend dull.wav out.wav --model wiener --steps 2 --seed 3": {"found"},  # the cut-off: none may be found
    "extend quiet.wav out.wav": set(),
    "declip clipped.wav quiet.wav lost.wav -o out": set(),
    "restore clipped.wav quiet.wav lost.wav -o out --only declip": set(),
    "restore clipped.wav out.wav --only declip": {*("findings.facts", "plan.stages", "plan.stages.settings")},
    "inspect clipped.wav": {"findings.facts"},
    "inspect clipped.wav lost.wav": {"files.inspection.findings.facts"},
    "generate out.wav --seconds 0.1 --model wiener --steps 1": set(),
    "evaluate clipped.wav holed.wav": set(),
    "evaluate clipped.wav holed.wav --cutoff-hz 1000": set(),
    "evaluate clipped.wav holed.wav --damaged quiet.wav": set(),
    "evaluate clipped.wav holed.wav --damaged quiet.wav --cutoff-hz 1000": set(),
    "models list": set(),
    "models show prior": {"arguments", "training_data", "figures"},
}


@pytest.mark.parametrize("command", TOLD)
def test_no_entry_may_be_missing_or_have_another_name(
    command: str, cli: Callable, write: Callable, loose: Callable, tmp_path: Path, monkeypatch: Any
) -> None:
    """But for what the schema leaves open, as estimates of a detector."""
    monkeypatch.chdir(tmp_path)
    time = np.arange(RATE) / RATE
    tone = 0.5 * np.sin(2 * np.pi * 440 * time) * (1 + 0.3 * np.sin(2 * np.pi * 3 * time))
    hiss = np.random.default_rng(0).normal(scale=0.1, size=RATE)
    write("clipped.wav", np.clip(tone, -0.4, 0.3))
    write("holed.wav", np.where((time > 0.5) & (time < 0.51), 0, tone))
    write("quiet.wav", hiss)
    spectrum = np.fft.rfft(hiss)
    spectrum[2000:] = 0
    write("dull.wav", np.fft.irfft(spectrum))
    longer = np.arange(4 * RATE) / (2 * RATE)
    chord = sum(np.sin(2 * np.pi * hz * longer + hz) for hz in (200, 331, 770)) * np.sin(np.pi * longer / 2)
    write("bent.wav", 0.4 * np.tanh(0.15 * chord / 0.4), 2 * RATE, "FLOAT")
    done = cli(*command.split(), "--json")
    assert done.code in (0, 3), done.err
    assert ("curve" in done.json.get("found", ())) == ("bent.wav" in command)
    assert loose(done.json) == TOLD[command]
    if "-o" in command.split():
        again = cli(*command.split(), "--json").json
        assert [file["done_before"] for file in again["files"]] == [True, True, False]
        assert loose(again) == TOLD[command]


SIZE = {"path": "", "sha256": "", "rate": RATE, "channels": 1, "frames": 8000}
SETTINGS = {
    "declip": {"low": [-0.5], "high": [None]},
    "offset": {"levels": [0.01]},
    "declick": {"clicks": [{"channel": 0, "start_s": 0.5, "stop_s": 0.501}]},
    "gaps": {"gaps": []},
    "band": {"cutoff_hz": 3000},
}


def plan_with(stage: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {"schema": "audiomend.plan/1", "input": SIZE, "stages": [stage], **changes}


@pytest.mark.parametrize("name", ORDER)
def test_every_stage_is_taken_as_the_schema_has_it(name: str) -> None:
    stage = {"stage": name, "settings": SETTINGS.get(name, {}), "enabled": name in SETTINGS}
    for content in (plan_with(stage), plan_with({**stage, "reason": "so", "confidence": 0.5})):
        validate("plan", content)
        from_json(json.dumps(content))


@pytest.mark.parametrize(
    "content",
    [
        {},
        plan_with({"stage": "dehum"}),
        plan_with({"stage": "hum"}),
        plan_with({"stage": "hum", "enabled": True}),
        plan_with({"stage": "gaps"}),
        plan_with({"stage": "gaps", "settings": {"gaps": [{"channel": 0}]}}),
        plan_with({"stage": "offset", "settings": {"levels": ["x"]}}),
        plan_with({"stage": "offset", "settings": {"levels": [0.1], "low": 1}}),
        plan_with({"stage": "declip", "settings": {"low": [0], "high": [0], "kind": "loud"}}),
        plan_with({"stage": "declip", "settings": SETTINGS["declip"], "enabled": 1}),
        plan_with({"stage": "declip", "settings": SETTINGS["declip"], "wet": 1}),
        plan_with({"stage": "declick"}, more=1),
        plan_with({"stage": "declick"}, input={**SIZE, "rate": "8000"}),
        plan_with({"stage": "declick"}, stages={}),
    ],
)
def test_reader_and_schema_refuse_the_same(content: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        validate("plan", content)
    with pytest.raises(UsageError):
        from_json(json.dumps(content))
