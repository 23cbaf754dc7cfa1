"""The command line, called in this process, and sound files for it."""

import dataclasses
import hashlib
import io
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import save_file

from audiomend.cli.app import run
from audiomend.models.card import WEIGHTS, write_card
from audiomend.models.prior import arguments_of
from audiomend.models.untrained import CARD
from audiomend.networks.patch_unet import Architecture, PatchUnet


@dataclass(frozen=True)
class Result:
    code: int
    out: bytes
    err: str
    read_json: Callable[[bytes], Any]

    @property
    def json(self) -> Any:
        return self.read_json(self.out)


@pytest.fixture
def cli(
    capfdbinary: pytest.CaptureFixture[bytes], read_json: Callable[[bytes], Any]
) -> Callable[..., Result]:
    """Call `audiomend ARGUMENTS`, with bytes on standard input if given."""

    def call(*arguments: object, stdin: bytes | None = None) -> Result:
        with pytest.MonkeyPatch.context() as patch:
            if stdin is not None:
                patch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin)))
            capfdbinary.readouterr()
            code = run([str(argument) for argument in arguments])
            captured = capfdbinary.readouterr()
        return Result(code, captured.out, captured.err.decode(), read_json)

    return call


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write samples, (time,) or (channels, time), into tmp_path."""

    def make(name: str, samples: np.ndarray, rate: int = 8000, subtype: str = "PCM_16") -> Path:
        with soundfile.SoundFile(tmp_path / name, "w", rate, len(np.atleast_2d(samples)), subtype) as file:
            file.title = "A title"
            file.write(samples.T)
        return tmp_path / name

    return make


@pytest.fixture(scope="session")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a small model that has learned nothing, for tests of everything but its sound."""
    folder = tmp_path_factory.mktemp("model")
    architecture = Architecture(length=8192, widths=(8, 16), window=256, hop=64, long_window=1024)
    torch.manual_seed(0)
    save_file(PatchUnet(architecture).state_dict(), folder / WEIGHTS)
    entries = {
        "name": "stub",
        "architecture": PatchUnet.__name__,
        "arguments": arguments_of(architecture),
        "conditioned": True,
        "sha256": hashlib.sha256((folder / WEIGHTS).read_bytes()).hexdigest(),
    }
    write_card(dataclasses.replace(CARD, **entries), folder)
    return folder


@pytest.fixture(autouse=True, scope="session")
def one_thread() -> Iterator[None]:
    """Tests run beside each other."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
