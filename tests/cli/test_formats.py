"""Length, rate, channels, number format and texts of a file stay, whatever is mended or damaged."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATES = (8000, 16_000, 22_050, 44_100, 48_000, 96_000)
FRAMES = (1, 2, 100, 1023, 44_100)
LONG = 441_123
VERBS = ("declip", "inpaint", "extend", "degrade clip", "degrade lowpass", "degrade gap")
MORE = ("declick", "restore", "degrade softclip", "degrade click", "degrade dropout")  # at fewer rates
SUBTYPES = ("PCM_16", "PCM_24", "FLOAT")


def options(verb: str, frames: int, rate: int) -> tuple[object, ...]:
    first, last = frames // 3, frames // 3 + max(1, min(frames // 2, 400))
    gap = f"{first / rate:.7f}-{last / rate:.7f}"
    return {
        "declip": ("--clip-level", 0.4),
        "inpaint": ("--gap", gap),
        "extend": ("--cutoff-hz", 3000),
        "degrade clip": ("--sdr-db", 6),
        "degrade lowpass": ("--cutoff-hz", 3000),
        "degrade gap": ("--gap", gap),
        "restore": ("--only", "declick"),
        "degrade softclip": ("--sdr-db", 20),
        "degrade dropout": ("--gap", gap),
    }.get(verb, ())


@pytest.fixture
def keeps_its_form(cli: Callable, write: Callable, model: Path, tmp_path: Path) -> Callable[..., None]:
    def check(verb: str, rate: int, channels: int, frames: int, subtype: str) -> None:
        quick = ("--model", model, "--steps", 1) if verb in ("declip", "inpaint", "extend") else ()
        samples = 0.3 * np.random.default_rng(frames).standard_normal((channels, frames)).clip(-2, 2) + 0.01
        source = write(f"{frames}.wav", samples, rate, subtype)
        output = tmp_path / f"{frames}-out.wav"
        assert cli(*verb.split(), source, output, *options(verb, frames, rate), *quick).code == 0
        with soundfile.SoundFile(source) as before, soundfile.SoundFile(output) as after:
            for what in ("frames", "samplerate", "channels", "format", "subtype", "title"):
                assert getattr(after, what) == getattr(before, what), what
            assert np.isfinite(after.read()).all()

    return check


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("verb", VERBS)
def test_the_file_keeps_its_form(verb: str, rate: int, channels: int, keeps_its_form: Callable) -> None:
    for number, frames in enumerate(FRAMES):
        keeps_its_form(verb, rate, channels, frames, SUBTYPES[number % len(SUBTYPES)])


@pytest.mark.parametrize(("rate", "channels"), [(8000, 2), (44_100, 1), (96_000, 6)])
@pytest.mark.parametrize("verb", MORE)
def test_the_file_keeps_its_form_with_any_verb(
    verb: str, rate: int, channels: int, keeps_its_form: Callable
) -> None:
    for number, frames in enumerate(FRAMES):
        keeps_its_form(verb, rate, channels, frames, SUBTYPES[number % len(SUBTYPES)])


@pytest.mark.parametrize("verb", [*VERBS, *MORE])
def test_a_file_of_many_blocks_keeps_its_form(verb: str, keeps_its_form: Callable) -> None:
    keeps_its_form(verb, 44_100, 2, LONG, "PCM_16")


@pytest.mark.nightly
@pytest.mark.parametrize("subtype", SUBTYPES)
@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("verb", [*VERBS, *MORE])
def test_every_form_is_kept(
    verb: str, rate: int, channels: int, subtype: str, keeps_its_form: Callable
) -> None:
    for frames in (*FRAMES, LONG):
        keeps_its_form(verb, rate, channels, frames, subtype)
