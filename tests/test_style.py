"""What stands here reads as if one person had written it, as far as a tool can tell."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("what", [("check",), ("format", "--check")], ids=["rules", "format"])
def test_ruff_finds_nothing(what: tuple[str, ...]) -> None:
    command = [sys.executable, "-m", "ruff", *what, "--no-cache", str(ROOT)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
