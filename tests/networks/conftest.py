"""How the goldens of published networks draw their parameters."""

from collections.abc import Callable
from types import ModuleType

import pytest


@pytest.fixture(scope="session")
def drawn(benchmark_file: Callable[[str], ModuleType]) -> ModuleType:
    return benchmark_file("published_networks")
