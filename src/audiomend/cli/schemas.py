"""JSON Schemas (draft 2020-12) of what programs read and write: plans, and what `inspect`, `restore` and
`presets` print with --json.

    python -m audiomend.cli.schemas docs/schemas

writes them as files. That of a plan follows from the classes that read it, so it cannot say anything else.
"""

import dataclasses
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from types import UnionType
from typing import Any, Literal, get_args, get_origin, get_type_hints

from audiomend.cli.presets import VERBS
from audiomend.restorers.plan import ORDER, SCHEMA, Input, NotThereYet, Stage
from audiomend.restorers.presets import PUBLISHED, PUBLISHED_METHODS, Published
from audiomend.restorers.way import Way

Schema = dict[str, Any]

_DRAFT = "https://json-schema.org/draft/2020-12/schema"
_PLAIN = {str: "string", int: "integer", float: "number", bool: "boolean"}
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "number"}
_MAYBE_NUMBER: Schema = {"type": ["number", "null"]}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_SHARE: Schema = {"type": "number", "minimum": 0, "maximum": 1}
_SHA256: Schema = {"type": "string", "pattern": "^([0-9a-f]{64})?$", "description": "empty for a pipe"}


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
    output = {
        "path": _TEXT,
        "sha256": _SHA256,
        "container": _TEXT,
        "subtype": _TEXT,
        "gain": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
        "clamped_samples": _COUNT,
    }
    stage = {
        "stage": {"enum": list(ORDER)},
        "method": {"type": ["string", "null"], "description": "null where nothing had to be mended"},
        "settings": {"type": ["string", "null"]},
        "changed_samples": _COUNT,
        "stretches": _COUNT,
        "stretches_s": _stretches(),
        "level_db": {**_MAYBE_NUMBER, "description": "energy of the change over that before the stage"},
        "seconds": _NUMBER,
    }
    changed = {
        "samples": _COUNT,
        "share": _SHARE,
        "stretches": _COUNT,
        "stretches_s": _stretches(),
        "residue_db": {**_MAYBE_NUMBER, "description": "energy of input minus output over the input's"},
    }
    return _root(
        "restore",
        {
            "input": _input(),
            "output": _object(output),
            "findings": _findings(),
            "plan": plan_schema(),
            "done": _list(_object(stage), "the stages that were done, in order"),
            "left": _list({"enum": list(ORDER)}, "the stages of the plan that were not"),
            "changed": _object(changed),
            "residue": {"type": ["string", "null"], "description": "path"},
            "seconds": _NUMBER,
            **_told(),
        },
    )


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
    if get_origin(kind) is tuple:
        return {"type": "array", "items": _of(get_args(kind)[0])}
    if get_origin(kind) is Literal:
        return {"enum": list(get_args(kind))}
    if get_origin(kind) is UnionType:  # only of a kind and None
        return {"anyOf": [_of(get_args(kind)[0]), {"type": "null"}]}
    return {"type": _PLAIN[kind]}


def _root(kind: str, properties: Mapping[str, Schema]) -> Schema:
    name = {"schema": {"const": f"audiomend.{kind}/1"}, "audiomend": {**_TEXT, "description": "version"}}
    return {"$schema": _DRAFT, "title": f"audiomend.{kind}/1", **_object({**name, **properties})}


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
            "sha256": _SHA256,
            "rate": {"type": "integer", "minimum": 1000, "maximum": 768000},
            "channels": {"type": "integer", "minimum": 1, "maximum": 64},
            "frames": {"type": "integer", "minimum": 1},
            "peak": {"type": "number", "minimum": 0, "description": "full scale is 1"},
        }
    )


def _findings() -> Schema:
    place = {"type": "array", "prefixItems": [_COUNT, _NUMBER, _NUMBER], "minItems": 3, "maxItems": 3}
    finding = {
        "damage": _TEXT,
        "found": {"type": "boolean"},
        "confidence": _SHARE,
        "summary": _TEXT,
        "facts": {"type": "object", "description": "the estimates by name; see docs/diagnosis.md"},
        "places_s": _list(place, "channel from 0, start and stop in seconds; the first thousand"),
    }
    return _list(_object(finding), "every damage that is looked for, found or not")


def _stretches() -> Schema:
    pair = {"type": "array", "items": _NUMBER, "minItems": 2, "maxItems": 2}
    return _list(pair, "start and stop in seconds; the first thousand")


def _told() -> dict[str, Schema]:
    return {"warnings": _list(_TEXT)}


SCHEMAS = {
    "inspect": inspect_schema,
    "inspections": inspections_schema,
    "restore": restore_schema,
    "plan": plan_schema,
    "presets": presets_schema,
}


def text(name: str) -> str:
    """The file of a schema."""
    return json.dumps(SCHEMAS[name](), indent=2) + "\n"


if __name__ == "__main__":
    for schema in SCHEMAS:
        Path(sys.argv[1], f"{schema}.json").write_text(text(schema), encoding="utf-8")
