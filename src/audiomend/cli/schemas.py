"""JSON Schemas (draft 2020-12) of what programs read and write: plans, and what commands print with --json.

    python -m audiomend.cli.schemas docs/schemas

writes them as files. That of a plan follows from the classes that read it, so it cannot say anything else.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from audiomend.cli.evaluate import BANDS, FIGURES
from audiomend.cli.options import Settings
from audiomend.cli.presets import VERBS
from audiomend.cli.summary import CHOSEN
from audiomend.models.card import Card
from audiomend.models.precision import PRECISIONS
from audiomend.models.published import WEIGHTS
from audiomend.restorers.batch import DONE
from audiomend.restorers.manifest import Row
from audiomend.restorers.plan import ORDER, SCHEMA, Input, NotThereYet, Stage
from audiomend.restorers.presets import PUBLISHED, PUBLISHED_METHODS, Published
from audiomend.restorers.way import Way

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TEXT: Schema = {"type": "string"}
_MAYBE_TEXT: Schema = {"type": ["string", "null"]}
_NUMBER: Schema = {"type": "number"}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_COUNTED: Schema = {"type": "integer", "minimum": 1}
_TRUTH: Schema = {"type": "boolean"}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SHA256: Schema = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_MAYBE_SHA256: Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "empty for a pipe"}
_PRECISIONS = [name for name in PRECISIONS if name != "auto"]
_PAIRS: Schema = {
    "type": "array",
    "items": {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2},
}
_EACH: Schema = {"type": "array", "items": _MAYBE_NUMBER, "description": "of each channel"}
_SURE: Schema = {"type": "array", "items": _SHARE, "description": "of each channel"}
_CLIPPED = {"clip_low": _EACH, "clip_high": _EACH, "clipped_samples": _COUNT, "confidence": _SURE}
_CURVES: Schema = {"type": "array", "items": _MAYBE_TEXT, "description": "of each channel"}
_EDGE: Schema = {"edge_hz": _MAYBE_NUMBER, "rule": {"enum": ["edge", "cumulative"]}, "confidence": _SHARE}
_FACTS: dict[str, list[dict[str, Schema]]] = {
    "declip": [
        _CLIPPED,
        {**_CLIPPED, "curve": _CURVES, "curve_low": _EACH, "curve_level": _EACH},
        {"clip_level": _NUMBER, "clipped_samples": _COUNT},
    ],
    "declick": [{"clicks": _COUNT, "clicked_samples": _COUNT}],
    "inpaint": [{"gaps_s": _PAIRS}, {"gaps_s": _PAIRS, "bands_hz": _PAIRS}],
    "extend": [{"cutoff_hz": _NUMBER}, _EDGE, {**_EDGE, "cutoff_hz": _NUMBER}],
}  # what a verb tells of what it found


def inspect_schema() -> Schema:
    """Of `audiomend inspect --json`."""
    content = _object(
        {"kind": {"enum": ["speech", "music", "silence"]}, "speech": _SHARE}, "what the recording holds"
    )
    return _root("inspect", {"input": _input(), "content": content, "findings": _findings(), **_told()})


def inspections_schema() -> Schema:
    """Of `audiomend inspect --json` with several files or a folder."""
    read = _object({"path": _TEXT, "inspection": inspect_schema()})
    failed = _object({"path": _TEXT, "error": {**_TEXT, "description": "why it could not be read"}})
    files = _list({"oneOf": [read, failed]}, "in the order of the command line, a folder's by name")
    return _root("inspections", {"files": files})


def presets_schema() -> Schema:
    """Of `audiomend presets --json`."""
    cost = {
        "steps": _COUNT,
        "evaluations_per_step": {**_NUMBER, "minimum": 0},
        "evaluations": {**_COUNT, "description": "of the network, for every window"},
        "gradients": {**_COUNT, "description": "evaluations that take one"},
    }
    each = {
        "settings": {**_of(Way), "required": ["steps"]},
        "fewest_steps": {**_COUNT, "description": "below which no result like the published one is expected"},
        "cost": _object(cost),
    }
    by_verb = {name: _object(dict.fromkeys(VERBS, schema)) for name, schema in each.items()}
    walk = _object({**dict.fromkeys(("name", "paper", "equation", "note"), _TEXT), **by_verb})
    method = {"name": {"const": PUBLISHED}, "verb": {"enum": list(PUBLISHED_METHODS)}, "method": _TEXT}
    return _root(
        "presets",
        {
            "presets": _list(walk, "walks of the prior"),
            PUBLISHED: _list(_object({**method, **_of(Published)["properties"]}), "methods without one"),
        },
    )


def restore_schema() -> Schema:
    """Of `audiomend restore --json`."""
    stage = {
        "stage": {"enum": list(ORDER)},
        "method": {**_MAYBE_TEXT, "description": "null where nothing had to be mended"},
        "settings": _MAYBE_TEXT,
        "changed_samples": _COUNT,
        "stretches": _COUNT,
        "stretches_s": _stretches(),
        "level_db": {**_MAYBE_NUMBER, "description": "energy of the change over that before the stage"},
        "seconds": _NUMBER,
    }
    residue = {**_MAYBE_NUMBER, "description": "energy of input minus output over the input's"}
    return _root(
        "restore",
        {
            "input": _input(),
            "output": _output(),
            "findings": _findings(),
            "plan": plan_schema(),
            "done": _list(_object(stage), "the stages that were done, in order"),
            "left": _list({"enum": list(ORDER)}, "the stages of the plan that were not"),
            "changed": _object({**_changed(), "residue_db": residue}),
            "residue": {**_MAYBE_TEXT, "description": "path"},
            "seconds": _NUMBER,
            **_told(),
        },
    )


def mend_schema() -> Schema:
    """Of `audiomend declip --json`, and of declick, inpaint and extend."""
    settings = {
        **_chosen(*CHOSEN, "clip_mode"),
        "regions": _list(_TEXT),
        "method": _TEXT,
        "method_settings": {**_MAYBE_TEXT, "description": "in words; null where nothing had to be mended"},
        "model": {**_MAYBE_TEXT, "description": "null where no network took part"},
        "steps": {**_COUNT, "description": "evaluations of the network, for every window"},
        "steps_asked": {"type": ["integer", "null"], "minimum": 1},
        "started_from": _MAYBE_TEXT,
        "precision": {"enum": [*_PRECISIONS, None]},
    }
    sample = {
        "path": _TEXT,
        "seed": _COUNT,
        "sha256": _SHA256,
        "gain": _gain(),
        "clamped_samples": _COUNT,
    }
    drawn = {
        "share": {**_SHARE, "description": "of the energy of what was changed, that differs between them"},
        "started_from": _TEXT,
        "files": _list(_object(sample)),
    }
    found = {
        verb: {"oneOf": [_object({"summary": _TEXT, **facts}) for facts in kinds]}
        for verb, kinds in _FACTS.items()
    }
    schema = _root(
        "mend",
        {
            "verb": {"enum": list(_FACTS)},
            "input": _input(),
            "output": _output(),
            "found": {"type": "object", "description": "in words, and the facts of the verb"},
            "changed": _object(_changed()),
            "settings": _object(settings),
            "residue": {**_MAYBE_TEXT, "description": "path"},
            "samples": {"anyOf": [_object(drawn, "posterior samples"), {"type": "null"}]},
            "previews": _list(_TEXT, "paths"),
            "estimate_s": _NUMBER,
            "seconds": _NUMBER,
            **_told(),
        },
    )
    cases = [{"properties": {"verb": {"const": verb}, "found": facts}} for verb, facts in found.items()]
    return {**schema, "oneOf": cases}


def batch_schema() -> Schema:
    """Of `audiomend restore -o DIR --json`, and of declip, declick, inpaint and extend."""
    row = _of(Row)["properties"]
    del row["settings_sha256"]
    digest = {**_MAYBE_SHA256, "description": "empty where there is no such file"}
    file = {
        **row,
        "input_sha256": digest,
        "output_sha256": digest,
        "state": {"enum": [*DONE, "failed"]},
        "own": {**_TRUTH, "description": "whether what stands under the output's name is the batch's"},
        "done_before": _TRUTH,
        **_told(),
    }
    files = _list(_object(file), "in the order in which they were done")
    return _root("batch", {"verb": {"enum": [*_FACTS, "restore"]}, "folder": _TEXT, "files": files})


def generate_schema() -> Schema:
    """Of `audiomend generate --json`."""
    output = {
        "path": _TEXT,
        "sha256": _SHA256,
        "container": _TEXT,
        "subtype": _TEXT,
        "rate": _COUNTED,
        "channels": {"const": 1},
        "frames": _COUNTED,
        "peak": {"type": "number", "minimum": 0, "description": "full scale is 1"},
        "clamped_samples": _COUNT,
    }
    settings = {
        **_chosen("preset", "seed", "device"),
        "model": _TEXT,
        "steps": _COUNTED,
        "precision": {"enum": _PRECISIONS},
    }
    return _root("generate", {"output": _object(output), "settings": _object(settings)})


def evaluate_schema() -> Schema:
    """Of `audiomend evaluate --json`."""
    schema = _root(
        "evaluate",
        {
            "reference": _TEXT,
            "estimate": _TEXT,
            "rate": _COUNTED,
            "cutoff_hz": _MAYBE_NUMBER,
            "damaged_samples": {"type": ["integer", "null"], "minimum": 1},
            "figures": {"type": "object", "description": "in dB; 300 for infinity, null where undefined"},
        },
    )
    of_all = [name for name in FIGURES if name != "damaged_sdr_db"]
    cases = [
        {
            "cutoff_hz": {"type": cutoff},
            "damaged_samples": {"type": damaged},
            "figures": _object({f"{band}{name}": _MAYBE_NUMBER for band in bands for name in names}),
        }
        for cutoff, bands in (("null", [""]), ("number", BANDS))
        for damaged, names in (("null", of_all), ("integer", FIGURES))
    ]
    return {**schema, "oneOf": [{"properties": case} for case in cases]}


def models_schema() -> Schema:
    """Of `audiomend models list --json`."""
    model = _object({"name": _TEXT, "rate": _COUNTED, "summary": _TEXT})
    return _root("models", {"default": _TEXT, "models": _list(model)})


def model_schema() -> Schema:
    """Of `audiomend models show --json`."""
    return _root("model", _of(Card)["properties"])


def import_schema() -> Schema:
    """Of `audiomend models import --json`."""
    return _root("import", _imported())


def fetch_schema() -> Schema:
    """Of `audiomend models fetch --json`."""
    checkpoint = {
        "path": _TEXT,
        "address": _TEXT,
        "sha256": _SHA256,
        "known": {**_TRUTH, "description": "whether it was fetched before"},
    }
    return _root("fetch", {**_imported(), "checkpoint": _object(checkpoint)})


def plan_schema() -> Schema:
    """Of a plan, as `audiomend inspect --plan` writes it and `restore --plan` reads it."""
    stages = [_stage(name) for name in ORDER]
    return {
        "$schema": _DRAFT,
        "title": SCHEMA,
        "type": "object",
        "properties": {
            "schema": {"const": SCHEMA},
            "input": _of(Input),
            "stages": {"type": "array", "items": {"oneOf": stages}},
        },
        "required": ["schema", "input", "stages"],
        "additionalProperties": False,
    }


def _stage(name: str) -> Schema:
    stage = _of(Stage)
    settings = _of(ORDER[name])
    properties = {**stage["properties"], "stage": {"const": name}, "settings": settings}
    if ORDER[name] is NotThereYet:
        properties["enabled"] = {"const": False}
    needed = ["stage", *(["settings"] if settings["required"] else [])]
    if ORDER[name] is NotThereYet:
        needed.append("enabled")  # its default is true
    return {**stage, "properties": properties, "required": needed}


def _of(kind: Any) -> Schema:
    """What a value of an annotation is in JSON; the counterpart of the plan's reader."""
    if dataclasses.is_dataclass(kind):
        hints = get_type_hints(kind)
        fields = [field for field in dataclasses.fields(kind) if field.name != "settings"]
        return {
            "type": "object",
            "description": (kind.__doc__ or "").split("\n")[0],
            "properties": {field.name: _of(hints[field.name]) for field in fields},
            "required": [field.name for field in fields if field.default is dataclasses.MISSING],
            "additionalProperties": False,
        }
    if get_origin(kind) in (tuple, list):
        return {"type": "array", "items": _of(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is dict:
        return {"type": "object", "additionalProperties": _of(get_args(kind)[1])}
    if get_origin(kind) in (UnionType, Union):  # only of a kind and None
        return {"anyOf": [_of(get_args(kind)[0]), {"type": "null"}]}
    return {} if kind is Any else {"type": _PLAIN[kind]}


def _root(kind: str, properties: Mapping[str, Schema]) -> Schema:
    name = f"audiomend.{kind}/1"
    begin = {"schema": {"const": name}, "audiomend": {**_TEXT, "description": "version"}}
    return {"$schema": _DRAFT, "title": name, **_object({**begin, **properties})}


def _object(properties: Mapping[str, Schema], description: str = "") -> Schema:
    """An object with all of these entries and no other."""
    about = {"description": description} if description else {}
    return {
        "type": "object",
        **about,
        "properties": dict(properties),
        "required": list(properties),
        "additionalProperties": False,
    }


def _list(items: Schema, description: str = "") -> Schema:
    return {"type": "array", "items": items, **({"description": description} if description else {})}


def _input() -> Schema:
    return _object(
        {
            "path": _TEXT,
            "sha256": _MAYBE_SHA256,
            "rate": {"type": "integer", "minimum": 1000, "maximum": 768000},
            "channels": {"type": "integer", "minimum": 1, "maximum": 64},
            "frames": {"type": "integer", "minimum": 1},
            "peak": {"type": "number", "minimum": 0, "description": "full scale is 1"},
        }
    )


def _output() -> Schema:
    return _object(
        {
            "path": _TEXT,
            "sha256": _MAYBE_SHA256,
            "container": _TEXT,
            "subtype": _TEXT,
            "gain": _gain(),
            "clamped_samples": _COUNT,
        }
    )


def _gain() -> Schema:
    return {"type": "number", "exclusiveMinimum": 0, "maximum": 1}


def _changed() -> dict[str, Schema]:
    return {"samples": _COUNT, "share": _SHARE, "stretches": _COUNT, "stretches_s": _stretches()}


def _chosen(*names: str) -> dict[str, Schema]:
    """Settings as the user gave them."""
    hints = get_type_hints(Settings)
    return {name: _of(hints[name]) for name in names}


def _imported() -> dict[str, Schema]:
    weights = {"enum": list(WEIGHTS)}
    return {"folder": _TEXT, "weights": weights, "offered": _list(weights), "card": _of(Card)}


def _findings() -> Schema:
    place = {"type": "array", "prefixItems": [_COUNT, _NUMBER, _NUMBER], "minItems": 3, "maxItems": 3}
    finding = {
        "damage": _TEXT,
        "found": _TRUTH,
        "confidence": _SHARE,
        "summary": _TEXT,
        "facts": {"type": "object", "description": "the estimates by name; see docs/diagnosis.md"},
        "places_s": _list(place, "channel from 0, start and stop in seconds; the first thousand"),
    }
    return _list(_object(finding), "every damage that is looked for, found or not")


def _stretches() -> Schema:
    return {**_PAIRS, "description": "start and stop in seconds; the first thousand"}


def _told() -> dict[str, Schema]:
    return {"warnings": _list(_TEXT)}


SCHEMAS = {
    "inspect": inspect_schema,
    "inspections": inspections_schema,
    "restore": restore_schema,
    "mend": mend_schema,
    "batch": batch_schema,
    "plan": plan_schema,
    "presets": presets_schema,
    "generate": generate_schema,
    "evaluate": evaluate_schema,
    "models": models_schema,
    "model": model_schema,
    "import": import_schema,
    "fetch": fetch_schema,
}


def text(name: str) -> str:
    """The file of a schema."""
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"


if __name__ == "__main__":
    for schema in SCHEMAS:
        Path(sys.argv[1], f"{schema}.json").write_text(text(schema), encoding="utf-8")
