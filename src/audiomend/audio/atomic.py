"""A file that appears under its name only when it is whole, and leaves nothing behind otherwise.

The bytes go to a part file in the same folder; `commit` forces them to the disk and gives them the name.
A process that is killed outright leaves its part file; the next one that writes to the same name removes it.
Part files in use are told from abandoned ones by a lock, which ends with its process.
"""

import contextlib
import errno
import hashlib
import os
import secrets
import tempfile
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, cast

from audiomend.errors import AudioWriteError, UsageError

try:
    import fcntl
except ImportError:  # Windows: an open file cannot be removed there, so no lock is needed
    fcntl = None

_REASONS = {
    errno.ENOSPC: "the disk is full",
    errno.EDQUOT: "the disk quota is used up",
    errno.EFBIG: "the file would be larger than the system allows",
    errno.EROFS: "the disk is read-only",
    errno.EACCES: "permission denied",
    errno.EPERM: "permission denied",
    errno.EIO: "the disk reports an error",
    errno.ENOENT: "the folder does not exist",
    errno.ENOTDIR: "the folder does not exist",
    errno.ENAMETOOLONG: "the name is too long",
    errno.EPIPE: "the reader of the pipe has gone",
}
_BINARY = getattr(os, "O_BINARY", 0)  # Windows translates line ends without it
_unfinished: set[Path] = set()  # part files of this process


def write_error(name: str, error: OSError) -> AudioWriteError:
    """The sentence for a write to `name` that the system refused."""
    reason = _REASONS.get(error.errno or 0, error.strerror or str(error))
    return AudioWriteError(f"{name} cannot be written: {reason}")


def temporary_file() -> BinaryIO:
    """An open file without a name, gone when it is closed.

    Raises:
        AudioWriteError: the folder for temporary files takes none.
    """
    try:
        return cast(BinaryIO, tempfile.TemporaryFile(buffering=0))
    except OSError as error:
        raise AudioWriteError(
            f"no temporary file can be made (TMPDIR names the folder for them): {error.strerror}"
        ) from None


class RawFile:
    """A file over a descriptor, without a buffer: when `write` returns, the system has every byte."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def write(self, data: bytes) -> int:
        """Write all of `data` or raise OSError."""
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.descriptor, rest) :]
        return len(data)

    def read(self, count: int) -> bytes:
        """Up to `count` bytes; empty at the end."""
        return os.read(self.descriptor, count)

    def readinto(self, buffer: memoryview) -> int:
        """Fill the start of `buffer`; how many bytes came."""
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move; the new position."""
        return os.lseek(self.descriptor, offset, whence)

    def tell(self) -> int:
        """The position."""
        return self.seek(0, os.SEEK_CUR)


class PartFile:
    """Context manager: `file` takes the bytes, `commit` gives them the name `path`.

    Without `commit`, or when it fails, nothing is left and what stood at `path` before still stands.

    Args:
        path: the final name; a symbolic link is followed.
        force: replace what is there. Otherwise a file that has appeared meanwhile is never touched.

    Raises:
        AudioWriteError: the folder is missing, read-only or full.
        UsageError: from `commit`, another file has taken the name and `force` is not given.
    """

    def __init__(self, path: Path, *, force: bool) -> None:
        self._name = str(path)
        self._final = Path(os.path.realpath(path))
        self._force = force
        try:
            _remove_abandoned(self._final)
            self._part, descriptor = _create(self._final)
        except OSError as error:
            raise write_error(self._name, error) from None
        self.file = RawFile(descriptor)

    def __enter__(self) -> "PartFile":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._close()
        _remove(self._part)

    def commit(self) -> None:
        """Force the bytes to the disk, then give them the name in one step."""
        try:
            os.fsync(self.file.descriptor)
            if fcntl is None:  # Windows renames closed files only; elsewhere the lock is held to the end
                self._close()
            _give_name(self._part, self._final, force=self._force)
        except FileExistsError:
            raise UsageError(f"{self._name} exists; --force replaces it") from None
        except OSError as error:
            raise write_error(self._name, error) from None
        _sync_folder(self._final.parent)

    def _close(self) -> None:
        if self.file.descriptor >= 0:
            with contextlib.suppress(OSError):
                os.close(self.file.descriptor)
            self.file.descriptor = -1


def remove_parts() -> None:
    """Remove every part file of this process, for one that is about to end without leaving its blocks."""
    for part in tuple(_unfinished):
        _remove(part)


def _remove(part: Path) -> None:
    with contextlib.suppress(OSError):
        part.unlink(missing_ok=True)
    _unfinished.discard(part)


def _give_name(part: Path, final: Path, *, force: bool) -> None:
    if not force:
        try:
            os.link(part, final)  # unlike a rename, fails if the name is taken
        except FileExistsError:
            raise
        except OSError:  # a file system without hard links
            if final.exists():
                raise FileExistsError(final) from None
        else:
            part.unlink()
            return
    os.replace(part, final)


def _prefix(final: Path) -> str:
    # A digest, since the name plus a suffix may be longer than the file system allows.
    return f".audiomend-{hashlib.sha256(os.fsencode(final.name)).hexdigest()[:16]}-"


def _create(final: Path) -> tuple[Path, int]:
    while True:
        part = final.parent / f"{_prefix(final)}{secrets.token_hex(4)}.part"
        _unfinished.add(part)  # before it is there, so that an interrupt finds it in any case
        descriptor = os.open(part, os.O_RDWR | os.O_CREAT | os.O_EXCL | _BINARY, 0o666)
        if _lock(descriptor) and part.exists():
            return part, descriptor
        os.close(descriptor)  # another process took it for abandoned between the two calls


def _lock(descriptor: int) -> bool:
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks: no part file is taken for abandoned there
        return True
    return True


def _remove_abandoned(final: Path) -> None:
    for part in final.parent.glob(f"{_prefix(final)}*.part"):
        with contextlib.suppress(OSError):  # in use: locked, or open on Windows
            if fcntl is None:
                part.unlink()
            else:
                _unlink_unless_locked(part)


def _unlink_unless_locked(part: Path) -> None:
    assert fcntl is not None
    descriptor = os.open(part, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        part.unlink()
    finally:
        os.close(descriptor)


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # Windows has no such call, and some file systems refuse it
        descriptor = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
