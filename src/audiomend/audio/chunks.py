"""RIFF chunks: what a WAV file says beside its sound, carried over byte for byte.

libsndfile keeps a handful of texts and drops the rest: Broadcast Wave's `bext`, `iXML`, cue points and their
labels, loops. The walker below reads nothing but eight bytes per chunk, believes no size that reaches beyond
the file, and moves payloads in small pieces, so hostile files cost neither memory nor time.
"""

import itertools
import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol


class ByteReader(Protocol):
    """What the walker needs of a file."""

    def read(self, count: int, /) -> bytes: ...
    def seek(self, offset: int, whence: int = 0, /) -> int: ...


class ByteFile(ByteReader, Protocol):
    """What chunks are appended to."""

    def write(self, data: bytes, /) -> int: ...


# Chunks that stay true when the sound changes but not its length; peaks and checksums do not.
KEPT = frozenset(
    (b"bext", b"iXML", b"axml", b"LIST", b"cue ", b"smpl", b"inst", b"acid", b"cart", b"id3 ", b"ID3 ")
)
KEPT_LISTS = frozenset((b"INFO", b"adtl"))  # texts, cue labels; a list `wavl` would hold sound
MOST_CHUNKS = 65_536  # a longer walk is an attack
LARGEST_RIFF = 2**32 - 1

_PIECE = 1 << 16
_RIFF_SIZE_AT = 4
_DS64_RIFF_SIZE_AT = 20
_EXTENSIBLE = 0xFFFE
_MASK_AT = 20  # of dwChannelMask in WAVEFORMATEXTENSIBLE
_UNKNOWN_SIZE = 0xFFFFFFFF  # RF64: the size stands in ds64; other writers: on a pipe


@dataclass(frozen=True)
class Chunk:
    """A chunk of a RIFF file: where its payload starts, and how many bytes of it the file really holds."""

    name: bytes
    start: int
    size: int
    is_whole: bool = True


@dataclass(frozen=True)
class Riff:
    """The chunks of a RIFF, RIFX or RF64 file in order, and the size that its header declares."""

    kind: bytes
    declared: int
    chunks: tuple[Chunk, ...]

    def find(self, name: bytes) -> Chunk | None:
        """The first chunk of that name."""
        return next((chunk for chunk in self.chunks if chunk.name == name), None)

    @property
    def order(self) -> str:
        """struct's sign for the byte order."""
        return ">" if self.kind == b"RIFX" else "<"


def walk(file: ByteReader) -> Riff | None:
    """The chunks of `file`; None if it is no RIFF, RIFX or RF64 file of kind WAVE."""
    end = file.seek(0, os.SEEK_END)
    file.seek(0)
    header = file.read(12)
    if len(header) < 12 or header[:4] not in (b"RIFF", b"RIFX", b"RF64") or header[8:] != b"WAVE":
        return None
    order = ">" if header[:4] == b"RIFX" else "<"
    (declared,) = struct.unpack(order + "I", header[4:8])
    chunks = tuple(itertools.islice(_chunks(file, order, end), MOST_CHUNKS))
    return Riff(header[:4], declared, chunks)


def _chunks(file: ByteReader, order: str, end: int) -> Iterator[Chunk]:
    position = 12
    data_size = None  # RF64's, from ds64
    while position + 8 <= end:
        file.seek(position)
        name, size = struct.unpack(order + "4sI", file.read(8))
        start = position + 8
        if name == b"ds64" and size >= 16 and start + 16 <= end:
            _, data_size = struct.unpack("<QQ", file.read(16))
        elif name == b"data" and size == _UNKNOWN_SIZE and data_size is not None:
            size = data_size
        yield Chunk(name, start, min(size, end - start), is_whole=start + size <= end)
        position = start + size + size % 2  # chunks start at even offsets


def kept_chunks(file: ByteReader) -> list[Chunk]:
    """The chunks of `file` that its mended copy keeps; none if it is no RIFF file."""
    riff = walk(file)
    if riff is None:
        return []
    return [chunk for chunk in riff.chunks if chunk.is_whole and _is_kept(file, chunk)]


def _is_kept(file: ByteReader, chunk: Chunk) -> bool:
    if chunk.name != b"LIST":
        return chunk.name in KEPT
    file.seek(chunk.start)
    return file.read(min(4, chunk.size)) in KEPT_LISTS


def kept_size(file: ByteReader) -> int:
    """Bytes that `append_chunks` adds at most."""
    return sum(8 + chunk.size + chunk.size % 2 for chunk in kept_chunks(file))


def append_chunks(source: ByteReader, output: ByteFile) -> None:
    """Append the kept chunks of the WAV file `source` to the finished WAV file `output`, byte for byte.

    The loudspeaker positions of an extensible format go along. Nothing happens if either is no RIFF file
    or if their byte orders differ.
    """
    riff, target = walk(source), walk(output)
    if riff is None or target is None or riff.order != target.order:
        return
    _copy_channel_mask(source, riff, output, target)
    chunks = kept_chunks(source)
    if not chunks:
        return
    end = output.seek(0, os.SEEK_END)
    if end % 2:
        output.write(b"\0")
    for chunk in chunks:
        output.write(struct.pack(target.order + "4sI", chunk.name, chunk.size))
        _copy(source, chunk, output)
    _declare_size(output, target)


def _copy(source: ByteReader, chunk: Chunk, output: ByteFile) -> None:
    source.seek(chunk.start)
    left = chunk.size
    while left:
        piece = source.read(min(left, _PIECE))
        if not piece:
            raise OSError("the input became shorter while it was read")
        output.write(piece)
        left -= len(piece)
    if chunk.size % 2:
        output.write(b"\0")


def _declare_size(output: ByteFile, target: Riff) -> None:
    size = output.seek(0, os.SEEK_END) - 8
    if target.kind == b"RF64":
        output.seek(_DS64_RIFF_SIZE_AT)
        output.write(struct.pack("<Q", size))
    else:
        output.seek(_RIFF_SIZE_AT)
        output.write(struct.pack(target.order + "I", size))


def _copy_channel_mask(source: ByteReader, riff: Riff, output: ByteFile, target: Riff) -> None:
    mask = _channel_mask(source, riff)
    if mask is None or _channel_mask(output, target) is None:
        return
    format_chunk = target.find(b"fmt ")
    assert format_chunk is not None
    output.seek(format_chunk.start + _MASK_AT)
    output.write(mask)


def _channel_mask(file: ByteReader, riff: Riff) -> bytes | None:
    chunk = riff.find(b"fmt ")
    if chunk is None or chunk.size < _MASK_AT + 4:
        return None
    file.seek(chunk.start)
    payload = file.read(_MASK_AT + 4)
    (tag,) = struct.unpack(riff.order + "H", payload[:2])
    return payload[_MASK_AT:] if tag == _EXTENSIBLE else None


def unfinished_data(file: ByteReader) -> Chunk | None:
    """The data chunk of a recording that was cut off before its sizes were written; None if the sizes stand.

    Recorders write the sizes at the end; after a power cut the header says that nothing follows, and all
    the sound is there.
    """
    riff = walk(file)
    data = riff.find(b"data") if riff else None
    if riff is None or data is None or data.size or riff.declared > data.start - 8:
        return None
    end = file.seek(0, os.SEEK_END)
    return Chunk(b"data", data.start, end - data.start) if end > data.start else None


def declare_data(output: ByteFile, data: Chunk) -> None:
    """Write the size of the `data` chunk, which reaches to the end, and of the whole file into its header."""
    riff = walk(output)
    order = riff.order if riff else "<"
    for offset, size in ((data.start - 4, data.size), (_RIFF_SIZE_AT, data.start + data.size - 8)):
        output.seek(offset)
        output.write(struct.pack(order + "I", min(size, LARGEST_RIFF)))
