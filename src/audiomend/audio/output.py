"""Sound files written: checked before work begins, whole or not at all.

libsndfile writes through callbacks into a file of ours, so that every refused write is known with its reason:
libsndfile itself keeps silent about those of its last flush.
"""

import contextlib
import io
import os
import shutil
import stat
import sys
from collections.abc import Callable, Generator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal, Protocol, TypeVar, cast, get_args

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.audio.atomic import PartFile, RawFile, temporary_file, write_error
from audiomend.audio.chunks import LARGEST_RIFF, append_chunks, kept_size
from audiomend.audio.file import PIPE, Sound, printable
from audiomend.audio.formats import WAV_FAMILY, Format, as_float, by_suffix
from audiomend.audio.libsndfile import leave_out_peaks
from audiomend.audio.tags import write_tags
from audiomend.errors import AudioWriteError, UsageError

Array = NDArray[Any]
ClipMode = Literal["rescale", "float", "clamp"]
CLIP_MODES: tuple[ClipMode, ...] = get_args(ClipMode)

_HEADER_ROOM = 4096  # bytes of a header at most
_LIMITED = ("WAV", "WAVEX", "AIFF")  # containers that count their bytes in 32 bits
_BYTES = {"PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}  # a sample; others take at most one
_Result = TypeVar("_Result")


@dataclass(frozen=True)
class Target:
    """An output that was found possible.

    Attributes:
        name: what the user called it, fit to print.
        path: None for standard output.
        format: container and number format, unless restored peaks need another.
        force: whether an existing file may be replaced.
    """

    name: str
    path: Path | None
    format: Format
    force: bool


def check_output(path: str | Path, sound: Sound, *, force: bool, clip_mode: ClipMode = "rescale") -> Target:
    """Whether the mended copy of `sound` can be written to `path`, found out before hours of work.

    The format is that of the input if the name ends alike, else it follows from the end of the name.

    Raises:
        UsageError: the name is the input's or taken (and `force` is not given), or ends in no known format,
            or the format cannot hold this rate, channel count or `clip_mode`.
        AudioWriteError: the folder is missing or read-only.
    """
    if str(path) == PIPE:
        return _check_standard_output(sound)
    path, name = Path(path), printable(str(path))
    chosen = by_suffix(sound.format, sound.path.suffix, path.suffix)
    _require_encodable(name, chosen, sound.rate, sound.channels)
    if clip_mode == "float" and as_float(chosen) is None and not chosen.holds_overs:
        raise UsageError(f"{name} cannot hold floats; --clip-mode float needs an OUT ending in .wav")
    _require_free(path, name, sound.path, force=force)
    return Target(name, path, chosen, force)


def check_residue(path: str | Path, sound: Sound, output: Target, *, force: bool) -> Target:
    """Whether the residue (input minus output) can be written to `path`. Raises as `check_output` does.

    Input and output of 16 bits at most differ by a 32-bit float; others by a 64-bit one.
    """
    if str(path) == PIPE:
        raise UsageError("the residue cannot go to a pipe; give the name of a file")
    path, name = Path(path), printable(str(path))
    if output.path is not None and _is_same(path, output.path):
        raise UsageError(f"{name} is the output itself; the residue needs another name")
    container = by_suffix(sound.format, sound.path.suffix, path.suffix).container
    chosen = Format(container, "DOUBLE")
    if not soundfile.check_format(container, "DOUBLE"):
        raise UsageError(f"{name} cannot hold the residue, which is float; it can end in .wav or .caf")
    _require_encodable(name, chosen, sound.rate, sound.channels)
    _require_free(path, name, sound.path, force=force)
    return Target(name, path, chosen, force)


def check_new(path: str | Path, rate: int, channels: int, *, force: bool) -> Target:
    """Whether a sound that comes from no file can be written to `path`: floats where the format has them.

    Raises as `check_output` does.
    """
    made = Format("WAV", "FLOAT")
    if str(path) == PIPE:
        _require_pipe()
        return Target("standard output", None, made, force=True)
    path, name = Path(path), printable(str(path))
    chosen = by_suffix(made, ".wav", path.suffix)
    _require_encodable(name, chosen, rate, channels)
    _require_free(path, name, None, force=force)
    return Target(name, path, chosen, force)


def _require_pipe() -> None:
    if sys.stdout.buffer.isatty():
        raise UsageError("standard output is a terminal; give the name of a file or a pipe")


def _check_standard_output(sound: Sound) -> Target:
    _require_pipe()
    chosen = by_suffix(sound.format, sound.path.suffix, ".wav")
    return Target("standard output", None, chosen, force=True)


def _require_encodable(name: str, chosen: Format, rate: int, channels: int) -> None:
    def attempt() -> None:
        trial = soundfile.SoundFile(
            io.BytesIO(), "w", rate, channels, chosen.subtype, chosen.endian, chosen.container
        )
        trial.write(np.zeros((1, channels), chosen.dtype))
        trial.close()

    try:
        with ThreadPoolExecutor(1) as thread:  # an interrupt would vanish in a callback of this one
            thread.submit(attempt).result()
    except (soundfile.LibsndfileError, AssertionError):
        raise UsageError(
            f"{name} cannot hold {channels} channels at {rate:,} Hz as {chosen.container} "
            f"{chosen.subtype}; an OUT that ends in .wav can"
        ) from None


def _require_free(path: Path, name: str, source: Path | None, *, force: bool) -> None:
    try:
        status = path.stat()
    except FileNotFoundError:
        status = None
    except (OSError, ValueError) as error:
        raise AudioWriteError(f"{name} cannot be written: {error}") from None
    if status is not None:
        if stat.S_ISDIR(status.st_mode):
            raise UsageError(f"{name} is a folder; the name of a file is needed")
        if not stat.S_ISREG(status.st_mode):
            raise UsageError(f"{name} is a pipe or a device; use '-' for standard output")
        if not force and source is not None and _is_same(path, source):
            raise UsageError(f"{name} is the input itself; give another OUT, or --force to replace it")
        if not force:
            raise UsageError(f"{name} exists; --force replaces it")
    with PartFile(path, force=force):  # the folder takes a file
        pass


def _is_same(path: Path, other: Path) -> bool:
    """Whether both name one file, there or not yet."""
    if path.exists() and other.exists():
        return path.samefile(other)
    return os.path.realpath(path) == os.path.realpath(other)


class Destination(Protocol):
    """Takes bytes now and shows them to the world at `commit`."""

    file: RawFile

    def commit(self) -> None: ...


class _StandardOutput:
    """Bytes wait in a temporary file and leave when they are whole."""

    def __init__(self, file: RawFile) -> None:
        self.file = file

    def commit(self) -> None:
        self.file.seek(0)
        try:
            with open(self.file.descriptor, "rb", closefd=False) as whole:
                shutil.copyfileobj(whole, sys.stdout.buffer, 1 << 20)
            sys.stdout.buffer.flush()
        except OSError as error:
            raise write_error("standard output", error) from None


@contextlib.contextmanager
def destination(target: Target) -> Generator[Destination]:
    """Where the bytes of `target` go; without `commit` nothing is left."""
    if target.path is not None:
        with PartFile(target.path, force=target.force) as part:
            yield part
    else:
        with temporary_file() as spool:
            yield _StandardOutput(RawFile(spool.fileno()))


class _Callbacks:
    """The file as libsndfile sees it: no exception passes a callback, so the first one is kept."""

    def __init__(self, file: RawFile) -> None:
        self._file = file
        self.failure: OSError | None = None

    def _guarded(self, call: Callable[..., int], *arguments: Any) -> int:
        if self.failure is not None:
            return 0
        try:
            return call(*arguments)
        except OSError as error:
            self.failure = error
            return 0

    def write(self, data: bytes) -> int:
        return self._guarded(self._file.write, data)

    def readinto(self, buffer: memoryview) -> int:
        return self._guarded(self._file.readinto, buffer)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        return self._guarded(self._file.seek, offset, whence)

    def tell(self) -> int:
        return self._guarded(self._file.tell)


class SoundWriter:
    """Context manager: encodes native samples into a file; every refused write raises AudioWriteError.

    libsndfile works in a thread of its own: an interrupt (Ctrl-C) goes to the main thread, and cannot vanish
    in one of the callbacks there.
    """

    def __init__(
        self, file: RawFile, name: str, chosen: Format, rate: int, channels: int, tags: Mapping[str, str]
    ) -> None:
        self._callbacks = _Callbacks(file)
        self._name = name
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="audiomend-writer")
        try:
            self._sound = self._guarded(lambda: self._open(chosen, rate, channels, tags))
        except BaseException:
            self._thread.shutdown()
            raise

    def __enter__(self) -> "SoundWriter":
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        try:
            if kind is None:
                self._guarded(self._sound.close)
            else:
                with contextlib.suppress(AudioWriteError):
                    self._guarded(self._sound.close)
        finally:
            self._thread.shutdown()

    def write(self, native: Array) -> None:
        """Append (frames, channels) native samples."""
        self._guarded(lambda: self._sound.write(np.ascontiguousarray(native)))

    def _open(self, chosen: Format, rate: int, channels: int, tags: Mapping[str, str]) -> soundfile.SoundFile:
        output = cast(BinaryIO, self._callbacks)
        file = soundfile.SoundFile(
            output, "w", rate, channels, chosen.subtype, chosen.endian, chosen.container
        )
        leave_out_peaks(file)
        write_tags(file, tags)
        return file

    def _guarded(self, call: Callable[[], _Result]) -> _Result:
        try:
            result = self._thread.submit(call).result()
        except (soundfile.LibsndfileError, AssertionError) as error:  # the latter: fewer frames went out
            self._raise_refusal()
            raise AudioWriteError(f"{self._name} cannot be written: {printable(str(error))}") from None
        self._raise_refusal()
        return result

    def _raise_refusal(self) -> None:
        if self._callbacks.failure is not None:
            raise write_error(self._name, self._callbacks.failure) from None


def carries_chunks(chosen: Format, sound: Sound) -> bool:
    """Whether RIFF chunks go over whole; otherwise the texts that libsndfile knows do."""
    return chosen.container in WAV_FAMILY and sound.format.container in WAV_FAMILY


def carry_chunks(file: RawFile, name: str, sound: Sound) -> None:
    """Append the chunks of `sound` to the finished WAV in `file`."""
    try:
        with sound.path.open("rb") as source:
            append_chunks(source, file)
    except OSError as error:
        raise write_error(name, error) from None


def for_length(chosen: Format, name: str, sound: Sound, frames: int) -> Format:
    """`for_size` for a mended copy of `sound`, with what is kept of its chunks."""
    with sound.path.open("rb") as source:
        return for_size(chosen, name, frames * sound.channels, kept_size(source))


def for_size(chosen: Format, name: str, samples: int, further: int = 0) -> Format:
    """`chosen`, or RF64 in the place of a WAV that would be larger than 4 GiB.

    Raises:
        UsageError: another container cannot hold so much.
    """
    size = samples * _BYTES.get(chosen.subtype, 1) + further + _HEADER_ROOM
    if chosen.container not in _LIMITED or size <= LARGEST_RIFF:
        return chosen
    if chosen.container in WAV_FAMILY and soundfile.check_format("RF64", chosen.subtype):
        return Format("RF64", chosen.subtype)
    raise UsageError(
        f"{name} would take {size:,} bytes, and {chosen.container} {chosen.subtype} holds {LARGEST_RIFF:,}; "
        "an OUT that ends in .w64 or .caf can be larger"
    )
