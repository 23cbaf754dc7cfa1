"""What programs read is what the schemas of docs/schemas say, and plans are taken exactly if they say so."""

import json
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
