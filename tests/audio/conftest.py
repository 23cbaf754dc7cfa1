"""Sound files to mend, and a stub that mends them."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

from audiomend.audio.blocks import Assembly, Spill, assemble
from audiomend.audio.file import Survey, open_sound, survey
from audiomend.audio.output import check_output, check_residue


def noise(frames: int, channels: int, seed: int = 0) -> np.ndarray:
    """(frames, channels) white noise within full scale."""
    return np.random.default_rng(seed).uniform(-0.9, 0.9, (frames, channels))


@pytest.fixture
def write(tmp_path: Path) -> Callable[..., Path]:
    """Write (frames, channels) samples into tmp_path, by default two channels of noise in 16 bits."""

    def run(
        name: str = "in.wav",
        samples: np.ndarray | None = None,
        rate: int = 44_100,
        *,
        container: str = "WAV",
        subtype: str = "PCM_16",
        endian: str = "FILE",
    ) -> Path:
        path = tmp_path / name
        samples = noise(5000, 2) if samples is None else samples
        channels = 1 if samples.ndim == 1 else samples.shape[1]
        with soundfile.SoundFile(path, "w", rate, channels, subtype, endian, container) as file:
            file.write(samples)
        return path

    return run


@pytest.fixture
def mend() -> Callable[..., tuple[Survey, Assembly]]:
    """Put `samples` (channels, time) in the place of those from frame `start` on."""

    def run(
        source: Path,
        output: Path,
        start: int = 0,
        samples: np.ndarray | None = None,
        *,
        changed: np.ndarray | None = None,
        residue: Path | None = None,
        force: bool = False,
        **options,
    ) -> tuple[Survey, Assembly]:
        with open_sound(source) as sound, Spill(sound.channels, np.float64) as spill:
            target = check_output(output, sound, force=force, **options)
            removed = check_residue(residue, sound, target, force=force) if residue else None
            found = survey(sound)
            if samples is not None:
                where = np.ones(samples.shape[-1], bool) if changed is None else changed
                spill.add(start, samples, where)
            return found, assemble(sound, found, spill, target, residue=removed, **options)

    return run
