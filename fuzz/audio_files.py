"""Mutated sound files through the real reader: each ends in frames or in one AudioReadError.

    python fuzz/audio_files.py --count 20000

A seed is a short file of every container and number format that can be read, of chunks that a WAV may carry
and of sizes that a recorder left unwritten. It is cut, changed in its header, changed anywhere, or joined to
another. Frames that come must be the same when they are read a second time, and by position.
"""

import functools
import io
import random
import struct
import tempfile
from collections.abc import Callable
from pathlib import Path

import harness
import numpy as np
import soundfile

from audiomend.audio import file as file_module
from audiomend.audio.file import MOST_CHANNELS, open_sound, survey
from audiomend.audio.reader import by_position
from audiomend.audio.tags import write_tags
from audiomend.errors import AudioReadError

FRAMES = 2000
MOST_MIB = 300
HEADER = 256  # bytes, of most containers
ODD = (b"\0", b"\x01", b"\x7f", b"\x80", b"\xff")
WORDS = (0, 1, 2, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)
BLOCK_VALUES = 3000  # small, so that a file has several blocks
CHUNKS = b"bext" + struct.pack("<I", 602) + bytes(602) + b"LIST\x0c\0\0\0INFOIART\0\0\0\0cue \4\0\0\0\0\0\0\0"
SHOWN = 50  # frames read by position
HEADLESS = ("RAW", "SD2")  # the header of SD2 is a file beside it, which libsndfile leaves in the folder

Seed = tuple[str, bytes]


def encoded(container: str, subtype: str, endian: str = "FILE") -> bytes | None:
    """A file of the richest shape that the format takes; None where soundfile cannot write it."""
    for channels, rate in ((2, 44_100), (1, 44_100), (1, 8_000)):
        samples = np.random.default_rng(0).uniform(-0.9, 0.9, (FRAMES, channels))
        file = io.BytesIO()
        try:
            with soundfile.SoundFile(file, "w", rate, channels, subtype, endian, container) as sound:
                write_tags(sound, {"title": "A title"})
                sound.write(samples)
        except (soundfile.LibsndfileError, AssertionError, ValueError, TypeError):
            continue
        return file.getvalue()
    return None


def seeds() -> list[Seed]:
    """(suffix, content) of each."""
    every = [
        (container.lower(), encoded(container, subtype))
        for container in soundfile.available_formats()
        for subtype in soundfile.available_subtypes(container)
        if container not in HEADLESS
    ]
    every.append(("wav", encoded("WAV", "PCM_16", "BIG")))
    found = [(suffix, content) for suffix, content in every if content is not None]
    wav = next(content for suffix, content in found if suffix == "wav")
    found.append(("wav", wav + CHUNKS))
    data = wav.index(b"data") + 4
    found.append(("wav", wav[:4] + bytes(4) + wav[8:data] + bytes(4) + wav[data + 4 :]))  # cut off recording
    return found


def cut(draw: random.Random, content: bytearray, other: bytes) -> None:
    """End early."""
    del content[draw.randrange(len(content)) :]


def change_header(draw: random.Random, content: bytearray, other: bytes) -> None:
    """Other bytes and numbers near the start."""
    for _ in range(draw.randint(1, 6)):
        place = draw.randrange(min(len(content), HEADER))
        word = struct.pack(draw.choice("<>") + "I", draw.choice((*WORDS, draw.getrandbits(32))))
        piece = draw.choice((draw.choice(ODD), draw.randbytes(1), word, word[:2]))
        content[place : place + len(piece)] = piece


def change_anything(draw: random.Random, content: bytearray, other: bytes) -> None:
    """Other bytes anywhere, one by one or in a run."""
    for _ in range(draw.randint(1, 40)):
        place = draw.randrange(len(content))
        piece = draw.randbytes(draw.choice((1, 1, 1, 4, 64)))
        content[place : place + len(piece)] = piece


def splice(draw: random.Random, content: bytearray, other: bytes) -> None:
    """Go on with another file."""
    content[draw.randrange(len(content)) :] = other[draw.randrange(len(other)) :]


MUTATIONS: tuple[Callable[[random.Random, bytearray, bytes], None], ...] = (
    cut,
    change_header,
    change_anything,
    splice,
)
WEIGHTS = (15, 45, 30, 10)


def mutated(number: int, seed: int, files: list[Seed]) -> Seed:
    """Input `number`: (suffix, content)."""
    draw = random.Random(f"{seed} {number}")
    suffix, original = draw.choice(files)
    content = bytearray(original)
    (mutate,) = draw.choices(MUTATIONS, WEIGHTS)
    mutate(draw, content, draw.choice(files)[1])
    return suffix, bytes(content)


def check(number: int, seed: int, files: list[Seed], folder: Path) -> str:
    """Read one input; "frames" or the name of the error."""
    suffix, content = mutated(number, seed, files)
    path = folder / f"in.{suffix}"
    path.write_bytes(content)
    try:
        frames = read(path)
    except AudioReadError as error:
        message = str(error)
        assert message.isprintable(), message
        assert str(path) in message, message
        return "AudioReadError"
    finally:
        path.unlink()
    assert frames >= 1
    return "frames"


def read(path: Path) -> int:
    """Frames of a file, which come a second time and by position as they came first."""
    with open_sound(path) as sound:
        assert sound.channels <= MOST_CHANNELS
        found = survey(sound)
        last, stop = np.zeros((sound.channels, 0)), 0
        for block in sound.blocks():
            assert block.start == stop
            assert len(block.native) * sound.channels <= BLOCK_VALUES
            last, stop = np.concatenate((last, block.samples), axis=1)[:, -SHOWN:], block.stop
        assert stop == found.frames, f"{stop} frames, then {found.frames}"
        with by_position(sound, found.frames) as reader:
            again = reader.read(stop - last.shape[1], stop)
        assert np.array_equal(again, last), "other samples by position"
    return found.frames


def main() -> None:
    given = harness.arguments(__doc__, 20_000)
    file_module.BLOCK_VALUES = BLOCK_VALUES
    with tempfile.TemporaryDirectory() as folder:
        work = functools.partial(check, seed=given.seed, files=seeds(), folder=Path(folder))
        harness.main(work, given, MOST_MIB)


if __name__ == "__main__":
    main()
