"""A sound file, read in blocks, in the file's own number format.

Files are hostile: nothing that a header declares is believed, and nothing is allocated by it.

with open_sound("in.wav") as sound:
    level = ActiveLevel(sound.rate)
    found = survey(sound, [level])          # counts frames, refuses NaN, feeds accumulators
    for block in sound.blocks(44_100): ...
"""

import contextlib
import hashlib
import re
import shutil
import stat
import sys
import tempfile
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.audio.chunks import declare_data, unfinished_data
from audiomend.audio.formats import Format, to_float
from audiomend.audio.libsndfile import SYSTEM_ERROR, read_frames
from audiomend.audio.tags import read_tags
from audiomend.errors import AudioReadError
from audiomend.tuning import sparing

Array = NDArray[Any]

PIPE = "-"  # the name of standard input and output
LOWEST_RATE, HIGHEST_RATE = 1_000, 768_000  # Hz
MOST_CHANNELS = 64
LARGEST_SAMPLE = 1e12  # full scale is 1; unscaled 32-bit integers, as some files hold, reach 2e9
BLOCK_VALUES = 1 << 18  # frames x channels of a block that is read

_UNKNOWN_FRAMES = 2**62  # declared by containers that do not know their length
_STREAM_SIZE = 0x7FFF0000  # declared by programs that write to a pipe
# What libsndfile notes when a container declares more sound than the file holds; it reads what is there.
_TOO_SHORT = re.compile(
    r"^\s*(?:data|SSND|riff|Data Size)\s*:\s*(\d+) \(should be"
    r"|does not match value from 'ds64'"
    r"|truncated file",
    re.MULTILINE,
)


def block_frames(channels: int) -> int:
    """How many frames are read at a time when the caller has no wish."""
    return max(1, BLOCK_VALUES // channels)


def sha256(path: Path) -> str:
    """Hex digest of a file's bytes."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


class Accumulator(Protocol):
    """What a survey feeds."""

    def add(self, samples: Array, /) -> None:
        """Take the next block, (channels, time) float64, full scale 1."""
        ...


@dataclass(frozen=True)
class Block:
    """Some successive frames of a file.

    Attributes:
        start: index of the first frame.
        native: (frames, channels) in the file's own number format.
    """

    start: int
    native: Array

    @property
    def stop(self) -> int:
        """Index after the last frame."""
        return self.start + len(self.native)

    @property
    def samples(self) -> Array:
        """(channels, time) float64, full scale 1, contiguous; a new array."""
        return np.ascontiguousarray(to_float(self.native).T)


@dataclass(frozen=True)
class Sound:
    """An open sound file: its header, and its blocks as often as wanted.

    Attributes:
        name: what the user called it, fit to print.
        path: where its bytes are (a temporary file for a pipe).
        rate: sample rate in Hz, 1,000 to 768,000.
        channels: 1 to 64.
        declared: frames by the header, which may lie; None where it does not say.
        is_short: whether the container declares more bytes than there are.
        format: container and number format.
        tags: title, artist and so on.
        identity: of the bytes: device, inode, size, time of the last change.
    """

    name: str
    path: Path
    rate: int
    channels: int
    declared: int | None
    is_short: bool
    format: Format
    tags: dict[str, str]
    identity: tuple[int, ...]

    def blocks(self, frames: int | None = None) -> Iterator[Block]:
        """All frames that are there, in order, `frames` to a block except the last.

        A decoder that fails on the way ends the iteration after the last good frame.

        Raises:
            AudioReadError: the disk fails, or the file has changed since it was opened.
        """
        frames = frames or block_frames(self.channels)
        if _identity(self.path) != self.identity:
            raise AudioReadError(f"{self.name} has changed while it was read")
        position, is_good = 0, True
        with soundfile.SoundFile(self.path) as file:
            while is_good:
                native = np.empty((frames, self.channels), self.format.dtype)
                count, error = read_frames(file, native)
                if error == SYSTEM_ERROR:
                    raise AudioReadError(f"{self.name} cannot be read: the disk reports an error")
                is_good = count > 0 and not error
                if count > 0:
                    yield Block(position, native[:count])
                    position += count


@dataclass(frozen=True)
class Survey:
    """What reading a file once through has shown.

    Attributes:
        frames: how many are really there, at least 1.
        peak: greatest absolute sample, full scale 1.
        warnings: sentences for the user.
    """

    frames: int
    peak: float
    warnings: tuple[str, ...]


@contextlib.contextmanager
def open_sound(path: str | Path) -> Generator[Sound]:
    """Open a sound file of any format that libsndfile reads; "-" is a WAV file on standard input.

    Raises:
        AudioReadError: it is missing, empty, no regular file, no sound, or of a rate or channel
            count outside the limits.
    """
    with contextlib.ExitStack() as stack:
        if str(path) == PIPE:
            name = "standard input"
            source = stack.enter_context(_spooled(sys.stdin.buffer, name))
        else:
            name, source = printable(str(path)), Path(path)
        _require_bytes(source, name)
        repaired = stack.enter_context(_with_sizes(source))
        yield _open(repaired, name)


def survey(sound: Sound, accumulators: Sequence[Accumulator] = ()) -> Survey:
    """Read a file once through: count its frames, refuse what is no sound, feed the accumulators.

    Raises:
        AudioReadError: there is no frame, or a sample is NaN, infinite or absurd (how many, where first).
    """
    frames, peak = 0, 0.0
    wrong, first_wrong = 0, ""
    for block in sparing(sound.blocks()):
        samples = block.samples
        frames = block.stop
        bad = ~(np.abs(samples) <= LARGEST_SAMPLE)
        if bad.any():
            first_wrong = first_wrong or _place(sound, block.start, bad)
            wrong += int(bad.sum())
        if wrong:
            continue
        peak = max(peak, float(np.abs(samples).max()))
        for accumulator in accumulators:
            accumulator.add(samples)
    if wrong:
        raise AudioReadError(
            f"{sound.name} holds {wrong:,} samples that are NaN, infinite or beyond {LARGEST_SAMPLE:.0e}, "
            f"the first {first_wrong}; every sample must be a finite number"
        )
    if not frames:
        raise AudioReadError(f"{sound.name} holds no sample; at least one is needed")
    return Survey(frames, peak, _warnings(sound, frames))


def printable(text: str) -> str:
    """`text` in one line: names and libsndfile's messages may hold control characters."""
    return "".join(character if character.isprintable() else "?" for character in text)


def _place(sound: Sound, start: int, bad: Array) -> str:
    frame = int(np.flatnonzero(bad.any(axis=0))[0])
    channel = int(np.flatnonzero(bad[:, frame])[0])
    frame += start
    return f"at {frame / sound.rate:.3f} s (frame {frame:,}, channel {channel})"


def _warnings(sound: Sound, frames: int) -> tuple[str, ...]:
    if sound.declared is not None and sound.declared != frames:
        declares = f"declares {sound.declared:,} frames"
    elif sound.is_short:
        declares = "declares more sound than there is"
    else:
        return ()
    return (f"the header of {sound.name} {declares}; the {frames:,} frames that are there are used",)


def _require_bytes(path: Path, name: str) -> None:
    try:
        status = path.stat()
        if stat.S_ISDIR(status.st_mode):
            raise AudioReadError(f"{name} is a folder; a sound file is needed")
        if not stat.S_ISREG(status.st_mode):
            raise AudioReadError(f"{name} is a pipe or a device; use '-' and feed it to standard input")
        with path.open("rb") as file:
            start = file.read(4)
    except (OSError, ValueError) as error:
        raise AudioReadError(f"{name} cannot be read: {_reason(error)}") from None
    if _is_sample_dump(start):  # libsndfile prints what is odd in one to standard output
        raise AudioReadError(f"{name} is a MIDI sample dump, which is not read; convert it first")
    if not status.st_size:
        raise AudioReadError(f"{name} is empty (0 bytes); a sound file is needed")


def _is_sample_dump(start: bytes) -> bool:
    """Whether libsndfile would take a file for a MIDI sample dump; the third byte is the device's number."""
    return start[:2] == b"\xf0\x7e" and start[2:3] < b"\x80" and start[3:4] == b"\x01"


def _reason(error: OSError | ValueError) -> str:
    if isinstance(error, FileNotFoundError | NotADirectoryError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "permission denied"
    return str(getattr(error, "strerror", None) or error)


def _open(path: Path, name: str) -> Sound:
    identity = _identity(path)
    try:
        file = soundfile.SoundFile(path)
    except TypeError:  # soundfile asks for the rate of a file that ends in .raw
        raise _no_header(name) from None
    except soundfile.LibsndfileError as error:
        raise AudioReadError(_unreadable(name, error)) from None
    with file:
        if file.format == "RAW":  # guessed from the end of the name
            raise _no_header(name)
        if not LOWEST_RATE <= file.samplerate <= HIGHEST_RATE:
            raise AudioReadError(
                f"{name} has a sample rate of {file.samplerate:,} Hz; "
                f"{LOWEST_RATE:,} to {HIGHEST_RATE:,} Hz are allowed"
            )
        if not 1 <= file.channels <= MOST_CHANNELS:
            raise AudioReadError(f"{name} has {file.channels} channels; 1 to {MOST_CHANNELS} are allowed")
        return Sound(
            name=name,
            path=path,
            rate=file.samplerate,
            channels=file.channels,
            declared=file.frames if file.frames < _UNKNOWN_FRAMES else None,
            is_short=_is_short(file.extra_info),
            format=Format(file.format, file.subtype, file.endian),
            tags=read_tags(file),
            identity=identity,
        )


def _identity(path: Path) -> tuple[int, ...]:
    status = path.stat()
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _is_short(log: str) -> bool:
    found = _TOO_SHORT.search(log)
    return found is not None and not (found[1] and int(found[1]) >= _STREAM_SIZE)


def _no_header(name: str) -> AudioReadError:
    return AudioReadError(f"{name} has no header that tells rate and channels; a WAV or FLAC file has one")


def _unreadable(name: str, error: soundfile.LibsndfileError) -> str:
    return (
        f"{name} is not a sound file that can be read ({printable(error.error_string).rstrip('.')}); "
        "WAV, FLAC, AIFF, CAF, OGG, Opus and MP3 are; convert others first: ffmpeg -i IN OUT.wav"
    )


@contextlib.contextmanager
def _spooled(stream: BinaryIO, name: str) -> Generator[Path]:
    """A temporary file with all that a pipe brings: it is read twice, and libsndfile must seek."""
    if stream.isatty():
        raise AudioReadError(f"{name} is a terminal; feed a WAV file to it")
    with _temporary_copy(stream) as path:
        yield path


@contextlib.contextmanager
def _temporary_copy(stream: BinaryIO) -> Generator[Path]:
    with contextlib.ExitStack() as stack:
        try:
            folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="audiomend-"))
            path = Path(folder) / "in.wav"
            with path.open("wb") as copy:
                shutil.copyfileobj(stream, copy, 1 << 20)
        except OSError as error:
            raise AudioReadError(
                f"no temporary copy of the input can be made (TMPDIR names the folder): {_reason(error)}"
            ) from None
        yield path


@contextlib.contextmanager
def _with_sizes(path: Path) -> Generator[Path]:
    """`path`, or a copy with its sizes written if a recorder was cut off before it could."""
    with path.open("rb") as file:
        data = unfinished_data(file)
    if data is None:
        yield path
        return
    with path.open("rb") as file, _temporary_copy(file) as copy:
        with copy.open("r+b") as output:
            declare_data(output, data)
        yield copy
