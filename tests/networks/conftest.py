"""How the goldens of published networks draw their parameters."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def drawn() -> ModuleType:
    path = Path(__file__).parents[2] / "benchmarks" / "published_networks.py"
    spec = importlib.util.spec_from_file_location("published_networks", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
