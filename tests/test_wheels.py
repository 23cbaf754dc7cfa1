"""Every dependency has a wheel for every Python that is supported; pip asks its index, so nightly."""

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
    pip("install", "--dry-run", "--no-deps", "--ignore-installed", "--target", str(tmp_path), *which, *OTHERS)
    # Of torch, which has gigabytes, the list of versions alone.
    versions = pip("index", "versions", *which, "torch").split("Available versions: ")[1].split("\n")[0]
    assert f"{TORCH.removeprefix('torch>=')}.0" in versions.split(", ")
