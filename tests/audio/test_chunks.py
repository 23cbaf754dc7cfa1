"""RIFF chunks go from WAV to WAV byte for byte; hostile chunks cost nothing."""

import io
import struct

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomend.audio import chunks
from audiomend.audio.chunks import Chunk, append_chunks, kept_chunks, kept_size, unfinished_data, walk


def chunk(name: bytes, payload: bytes, order: str = "<", size: int | None = None) -> bytes:
    return (
        struct.pack(order + "4sI", name, len(payload) if size is None else size)
        + payload
        + b"\0" * (len(payload) % 2)
    )


def riff(*parts: bytes, kind: bytes = b"RIFF", order: str = "<") -> bytes:
    body = b"WAVE" + b"".join(parts)
    return struct.pack(order + "4sI", kind, len(body)) + body


FORMAT = chunk(b"fmt ", struct.pack("<HHIIHH", 1, 1, 8000, 16_000, 2, 16))
DATA = chunk(b"data", np.arange(7, dtype="<i2").tobytes())
SOUND = (FORMAT, DATA)
BEXT = chunk(b"bext", bytes(range(256)) * 3)
IXML = chunk(b"iXML", b"<BWFXML/>!")  # an even size, then an odd one
INFO = chunk(b"LIST", b"INFO" + chunk(b"INAM", b"Prelude"))
LABELS = chunk(b"LIST", b"adtl" + chunk(b"labl", b"\1\0\0\0here\0"))
CUE = chunk(b"cue ", struct.pack("<IIIIIII", 1, 1, 3, 0x61746164, 0, 0, 3))
SMPL = chunk(b"smpl", b"loop" * 9 + b"\7")
KEPT = (BEXT, IXML, INFO, LABELS, CUE, SMPL)


def appended(source: bytes, output: bytes) -> bytes:
    file = io.BytesIO(output)
    append_chunks(io.BytesIO(source), file)
    return file.getvalue()


def test_walk_tells_where_payloads_are():
    found = walk(io.BytesIO(riff(FORMAT, chunk(b"odd ", b"abc"), DATA)))
    assert found.chunks == (Chunk(b"fmt ", 20, 16), Chunk(b"odd ", 44, 3), Chunk(b"data", 56, 14))
    assert found.find(b"odd ") == Chunk(b"odd ", 44, 3)
    assert found.find(b"none") is None


@pytest.mark.parametrize("content", [b"", b"RIFF", b"fLaC" + bytes(100), b"RIFF\4\0\0\0AVI " + bytes(100)])
def test_what_is_no_riff(content):
    assert walk(io.BytesIO(content)) is None
    assert kept_chunks(io.BytesIO(content)) == []
    assert appended(content, riff(*SOUND)) == riff(*SOUND)
    assert appended(riff(*SOUND, BEXT), content) == content


def test_chunks_follow_the_sound_byte_for_byte():
    expected = riff(FORMAT, DATA, *KEPT)
    assert appended(riff(BEXT, FORMAT, IXML, INFO, DATA, LABELS, CUE, SMPL), riff(FORMAT, DATA)) == expected


def test_size_of_the_kept_chunks():
    assert kept_size(io.BytesIO(riff(FORMAT, DATA, *KEPT))) == sum(map(len, KEPT))


@pytest.mark.parametrize("name", [b"PEAK", b"fact", b"junk", b"MD5 ", b"levl"])
def test_what_depends_on_the_sound_stays_behind(name):
    assert appended(riff(*SOUND, chunk(name, b"1234")), riff(*SOUND)) == riff(*SOUND)


def test_a_list_of_sound_stays_behind():
    assert appended(riff(*SOUND, chunk(b"LIST", b"wavl1234")), riff(*SOUND)) == riff(*SOUND)


def test_an_odd_output_is_padded_first():
    output = riff(FORMAT, chunk(b"data", b"abc"))[:-1]  # libsndfile pads, others may not
    assert appended(riff(*SOUND, BEXT), output) == riff(FORMAT, chunk(b"data", b"abc"), BEXT)


def test_a_chunk_that_reaches_beyond_the_file_stays_behind():
    source = riff(*SOUND, INFO) + chunk(b"bext", b"cut off", size=1 << 31)
    assert appended(source, riff(*SOUND)) == riff(*SOUND, INFO)


def test_big_endian():
    big = riff(chunk(b"fmt ", bytes(16), ">"), chunk(b"data", b"ab", ">"), kind=b"RIFX", order=">")
    bext = chunk(b"bext", b"note", ">")
    source = riff(chunk(b"fmt ", bytes(16), ">"), bext, kind=b"RIFX", order=">")
    expected = riff(chunk(b"fmt ", bytes(16), ">"), chunk(b"data", b"ab", ">"), bext, kind=b"RIFX", order=">")
    assert appended(source, big) == expected


def test_byte_orders_are_not_mixed():
    source = riff(chunk(b"bext", b"note", ">"), kind=b"RIFX", order=">")
    assert appended(source, riff(*SOUND)) == riff(*SOUND)


def rf64(*parts: bytes, data_size: int) -> bytes:
    body = b"".join(parts)
    ds64 = chunk(b"ds64", struct.pack("<QQQI", 4 + 36 + len(body), data_size, 7, 0))
    return b"RF64" + b"\xff" * 4 + b"WAVE" + ds64 + body


def test_rf64_has_its_sizes_in_ds64():
    data = chunk(b"data", bytes(14), size=0xFFFFFFFF)
    source = rf64(FORMAT, data, BEXT, data_size=14)
    assert walk(io.BytesIO(source)).find(b"data") == Chunk(b"data", 80, 14)
    assert appended(source, rf64(FORMAT, data, data_size=14)) == source


def extensible(mask: int) -> bytes:
    return chunk(
        b"fmt ",
        struct.pack("<HHIIHHHHI16s", 0xFFFE, 7, 8000, 112_000, 14, 16, 22, 16, mask, b"\1" + bytes(15)),
    )


def test_loudspeaker_positions_go_along():
    source, output = riff(extensible(0x70F), DATA), riff(extensible(0), DATA)
    assert appended(source, output) == source


def test_a_plain_format_has_no_loudspeaker_positions():
    long_format = chunk(b"fmt ", struct.pack("<HHIIHHH", 2, 1, 8000, 4096, 256, 4, 32) + b"\7" * 32)
    assert appended(riff(long_format, DATA), riff(extensible(3), DATA)) == riff(extensible(3), DATA)
    assert appended(riff(extensible(3), DATA), riff(long_format, DATA)) == riff(long_format, DATA)


def test_many_chunks_end_the_walk():
    file = io.BytesIO(riff(*[chunk(b"junk", b"")] * 70_000))
    assert len(walk(file).chunks) == chunks.MOST_CHUNKS


def test_large_payloads_move_in_pieces():
    class Watched(io.BytesIO):
        largest = 0

        def read(self, count=-1):
            assert count >= 0
            self.largest = max(self.largest, count)
            return super().read(count)

    id3 = chunk(b"id3 ", np.random.default_rng(0).bytes(1_000_001))
    source, output = Watched(riff(*SOUND, id3)), io.BytesIO(riff(*SOUND))
    append_chunks(source, output)
    assert output.getvalue() == riff(*SOUND, id3)
    assert source.largest <= 1 << 16


def test_a_source_that_shrinks_is_an_error():
    class Shrinking(io.BytesIO):
        def read(self, count=-1):
            return b"" if count > 700 else super().read(count)

    with pytest.raises(OSError, match="became shorter"):
        append_chunks(Shrinking(riff(*SOUND, BEXT)), io.BytesIO(riff(*SOUND)))


def test_sizes_of_an_unfinished_recording():
    unfinished = riff(FORMAT, chunk(b"data", b"abcdef", size=0))
    zeroed = unfinished[:4] + bytes(4) + unfinished[8:]
    assert unfinished_data(io.BytesIO(zeroed)) == Chunk(b"data", 44, 6)
    file = io.BytesIO(zeroed)
    chunks.declare_data(file, unfinished_data(file))
    assert file.getvalue() == riff(FORMAT, chunk(b"data", b"abcdef"))


@pytest.mark.parametrize(
    "content",
    [
        riff(*SOUND),
        riff(FORMAT, chunk(b"data", b"")),
        riff(FORMAT, chunk(b"data", b""), INFO),
        riff(FORMAT),
        b"fLaC",
    ],
)
def test_a_finished_file_needs_no_repair(content):
    assert unfinished_data(io.BytesIO(content)) is None


@settings(deadline=None)
@given(st.binary(max_size=200), st.sampled_from([b"RIFF", b"RIFX", b"RF64"]))
def test_hostile_bytes_are_walked_within_the_file(tail, kind):
    content = kind + b"\xff" * 4 + b"WAVE" + tail
    for found in walk(io.BytesIO(content)).chunks:
        assert found.start + found.size <= len(content)
    output = appended(content, riff(*SOUND))
    assert len(output) <= len(riff(*SOUND)) + len(content) + 2


def test_libsndfile_reads_the_sound_and_the_texts(write):
    path = write(samples=np.zeros((5, 1)), subtype="PCM_24")
    file = io.BytesIO(path.read_bytes())
    append_chunks(io.BytesIO(riff(*SOUND, *KEPT)), file)
    file.seek(0)
    with soundfile.SoundFile(file) as sound:
        assert (sound.frames, sound.title) == (5, "Prelude")
