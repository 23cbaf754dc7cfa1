"""What tests of several folders need."""

import importlib.util
import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from hypothesis import settings
from jsonschema import Draft202012Validator

from audiomend.cli.schemas import SCHEMAS
from audiomend.networks import cqtdiff_plus

# Each worker of the test runner has one core: more threads than cores slow torch down ten times and more.
torch.set_num_threads(1)
os.environ.setdefault("OMP_NUM_THREADS", "1")  # of the processes that tests start

# `--hypothesis-profile ci` tries costly properties, too, with as many examples as the others.
settings.register_profile("ci", max_examples=200, deadline=None, derandomize=True)


@pytest.fixture(scope="session")
def benchmark_file() -> Callable[[str], ModuleType]:
    """Loads a file of benchmarks/, where the plain forms and the parameters of the goldens are."""

    def load(name: str) -> ModuleType:
        path = Path(__file__).parents[1] / "benchmarks" / f"{name}.py"
        spec = importlib.util.spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        return module

    return load


@pytest.fixture(scope="session")
def narrow_plus() -> cqtdiff_plus.Architecture:
    """A CQT-Diff+ of the size of its golden."""
    return cqtdiff_plus.Architecture(
        rate=22050,
        length=4096,
        octaves=4,
        bins=8,
        widths=(8, 8, 16, 16),
        dilations=(1, 2, 2, 3),
        attention=(False, False, True, True, True),
        embedding=32,
        heads=2,
    )


def _validator(told: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator(SCHEMAS[told["schema"].removeprefix("audiomend.").removesuffix("/1")]())


def _objects(part: Any, place: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """All objects in JSON, by the names on the way to them."""
    if isinstance(part, list):
        for entry in part:
            yield from _objects(entry, place)
    if isinstance(part, dict):
        yield place, part
        for name, entry in part.items():
            yield from _objects(entry, f"{place}.{name}".lstrip("."))


@pytest.fixture(scope="session")
def read_json() -> Callable[[str | bytes], Any]:
    """Reads what a command printed with --json, which is what the schema of its kind says."""

    def read(text: str | bytes) -> Any:
        content = json.loads(text)
        _validator(content).validate(content)
        return content

    return read


@pytest.fixture(scope="session")
def loose() -> Callable[[Any], set[str]]:
    """Finds the objects in JSON that may lack an entry, or rename it, by the names on the way to them."""

    def found(content: dict[str, Any]) -> set[str]:
        validator = _validator(content)
        free = set[str]()
        for place, part in _objects(content):
            for name in list(part):
                value = part.pop(name)
                without = validator.is_valid(content)
                part["renamed"] = value
                if without or validator.is_valid(content):
                    free.add(place)
                part[name] = part.pop("renamed")
        return free

    return found
