"""What tests of several folders need."""

import importlib.util
import os
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import pytest
import torch
from hypothesis import settings

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
