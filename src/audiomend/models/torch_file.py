"""Files of torch.save, read without torch.load: an archive of a pickle and of numbers, none compressed.

Every entry has a check sum (CRC-32), which torch.load passes over: here a flipped bit of any content shows.
The SHA-256 of the whole file shows every one. Nothing is allocated before its size was compared with the
file's.
"""

import hashlib
import io
import os
import stat
import zipfile
from collections import Counter
from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from struct import error as StructError
from types import TracebackType

import torch
from torch import Tensor

from audiomend.errors import ModelError
from audiomend.models.pickled import Stored, parse, quoted

_LONGEST_READ = 4 << 20  # bytes at once; it bounds the archive's directory too
_LONGEST_PICKLE = 8 << 20  # bytes
_MOST_DIMENSIONS = 8
_PICKLE = "data.pkl"
_BROKEN = (
    zipfile.BadZipFile,
    NotImplementedError,  # methods of compression and versions that zipfile does not know
    RuntimeError,  # encryption
    StructError,
    ValueError,
    LookupError,
    OverflowError,
    EOFError,
    OSError,
)


class _Bounded(io.FileIO):
    """A file that refuses to be read in large pieces, whatever size a header states."""

    def read(self, size: int | None = -1, /) -> bytes:
        limit = _LONGEST_READ + 1
        content = super().read(limit if size is None or size < 0 else min(size, limit)) or b""
        if len(content) == limit:
            raise ValueError(f"a piece of more than {_LONGEST_READ} bytes")
        return content


class TorchFile(AbstractContextManager["TorchFile"]):
    """An open checkpoint.

    Args:
        path: of the file.
        sha256: of the whole file, if it is known; it is compared before anything is read.

    Attributes:
        sha256: of the whole file.
        content: what was saved, its tensors as `Stored`.

    Raises:
        ModelError: not such a file, not the one that `sha256` names, damaged, or a pickle that asks for more
            than a checkpoint needs. `read` raises it too.
    """

    def __init__(self, path: Path, sha256: str | None = None) -> None:
        self._path = path
        self._file = _opened(path)
        try:
            self.sha256 = hashlib.file_digest(self._file, "sha256").hexdigest()
            if sha256 is not None and self.sha256 != sha256.lower():
                raise ModelError(f"{path} has SHA-256 {self.sha256}, not {sha256}: it is another file.")
            self._size = self._file.seek(0, os.SEEK_END)
            self._archive = zipfile.ZipFile(self._file)
            self._entries = self._checked_entries()
            self._root = self._find_root()
            self._check_byte_order()
            self.content = parse(self._bytes(_PICKLE, _LONGEST_PICKLE))
        except BaseException as error:
            self._file.close()
            raise self._refusal(error) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    def read(self, tensors: Mapping[str, Stored]) -> dict[str, Tensor]:
        """The numbers of tensors. Together they may take as many bytes as the file has."""
        try:
            sizes = [self._storage_size(stored) for stored in tensors.values()]
            if sum(sizes) > self._size:
                raise ModelError(f"{self._path} states tensors of {sum(sizes)} bytes, more than it holds.")
            return {name: self._tensor(stored) for name, stored in tensors.items()}
        except Exception as error:
            raise self._refusal(error) from None

    def _refusal(self, error: BaseException) -> BaseException:
        """The error as one sentence; what is no fault of the file stays as it is."""
        if isinstance(error, ModelError):
            return (
                error if str(self._path) in str(error) else ModelError(f"{self._path} was refused. {error}")
            )
        if isinstance(error, _BROKEN):
            return ModelError(f"{self._path} is no whole file of torch.save: {quoted(str(error))}.")
        return error

    def _checked_entries(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._archive.infolist()
        for entry in entries:
            if entry.compress_type != zipfile.ZIP_STORED or entry.compress_size != entry.file_size:
                raise ModelError(
                    f"The entry {quoted(entry.filename)} is compressed; torch.save does not do so."
                )
        twice = [name for name, count in Counter(entry.filename for entry in entries).items() if count > 1]
        if twice:
            raise ModelError(f"The entry {quoted(twice[0])} is there twice.")
        if sum(entry.file_size for entry in entries) > self._size:
            raise ModelError("Its entries together are larger than the file.")
        if (broken := self._archive.testzip()) is not None:
            raise ModelError(
                f"The entry {quoted(broken)} does not have its check sum, so the file is damaged."
            )
        return {entry.filename: entry for entry in entries}

    def _find_root(self) -> str:
        roots = [name.removesuffix(_PICKLE) for name in self._entries if name.endswith(f"/{_PICKLE}")]
        if len(roots) != 1:
            raise ModelError(f"There are {len(roots)} pickles in it; a file of torch.save has one.")
        return roots[0]

    def _check_byte_order(self) -> None:
        if self._root + "byteorder" in self._entries and self._bytes("byteorder", 16) != b"little":
            raise ModelError("Its numbers are not little-endian.")

    def _bytes(self, name: str, limit: int) -> bytes:
        entry = self._entries[self._root + name]
        if entry.file_size > limit:
            raise ModelError(f"The entry {quoted(name)} has {entry.file_size} bytes, more than {limit}.")
        content = bytearray(entry.file_size)
        self._fill(entry, memoryview(content))
        return bytes(content)

    def _fill(self, entry: zipfile.ZipInfo, buffer: memoryview) -> None:
        with self._archive.open(entry) as file:
            at = 0
            while at < len(buffer):
                piece = file.read(min(_LONGEST_READ // 4, len(buffer) - at))
                if not piece:
                    raise EOFError(f"{entry.filename} ends early")
                buffer[at : at + len(piece)] = piece
                at += len(piece)

    def _storage_size(self, stored: Stored) -> int:
        """Bytes of a tensor's storage, which must be those of its entry."""
        storage = stored.storage
        size = storage.count * getattr(torch, storage.dtype).itemsize
        held = self._entries[f"{self._root}data/{storage.key}"].file_size
        if size != held:
            raise ModelError(f"A tensor is said to have {size} bytes, the file holds {held} of it.")
        if len(stored.shape) > _MOST_DIMENSIONS:
            raise ModelError(f"A tensor has {len(stored.shape)} dimensions.")
        return size

    def _tensor(self, stored: Stored) -> Tensor:
        storage = stored.storage
        numbers = torch.empty(storage.count, dtype=getattr(torch, storage.dtype))
        self._fill(
            self._entries[f"{self._root}data/{storage.key}"],
            numbers.view(torch.uint8).numpy().data,
        )
        return numbers.as_strided(stored.shape, stored.stride, stored.offset).contiguous()


def _opened(path: Path) -> _Bounded:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end
            raise ModelError(f"{path} is no ordinary file.")
        return _Bounded(path)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from None
