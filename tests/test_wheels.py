"""Every dependency, and what they need, has a wheel for every supported Python. Nightly: it asks an index."""

import importlib.metadata
import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

PROJECT = tomllib.loads((Path(__file__).parents[1] / "pyproject.toml").read_text(encoding="utf-8"))["project"]
PYTHONS = [text.split(" :: ")[-1] for text in PROJECT["classifiers"] if " :: 3." in text]
EXTRAS = PROJECT["optional-dependencies"]
TORCH = next(text for text in PROJECT["dependencies"] if text.startswith("torch>="))
OTHERS = [*PROJECT["dependencies"], *EXTRAS["train"], *EXTRAS["test"]]
OTHERS.remove(TORCH)
OF_TORCH = [text for text in importlib.metadata.requires("torch") or () if ";" not in text]


def pip(*arguments: str) -> str:
    """What pip says of wheels alone, whatever this machine pins."""
    command = [sys.executable, "-m", "pip", *arguments, "--only-binary=:all:"]
    environment = {**os.environ, "PIP_CONSTRAINT": ""}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_the_supported_pythons_are_stated() -> None:
    assert PYTHONS[0] == PROJECT["requires-python"].removeprefix(">=")
    assert [f"3.{minor}" for minor in range(11, 11 + len(PYTHONS))] == PYTHONS


@pytest.mark.nightly
@pytest.mark.parametrize("python", PYTHONS)
def test_every_dependency_has_a_wheel(python: str, tmp_path: Path) -> None:
    which = ("--python-version", python)
    dry = ("install", "--dry-run", "--ignore-installed", "--target", str(tmp_path))
    resolved = pip(*dry, *which, *OTHERS, *OF_TORCH).split("Would install ")[1].split()
    assert len(resolved) > len(OTHERS + OF_TORCH)
    assert not any(name.startswith(("torch-", "nvidia-")) for name in resolved)
    # Of torch, which has gigabytes, the list of versions alone, and what it needs everywhere, from above.
    versions = pip("index", "versions", *which, "torch").split("Available versions: ")[1].split("\n")[0]
    assert f"{TORCH.removeprefix('torch>=')}.0" in versions.split(", ")
