"""Fifty files made to do harm: each is mended or refused in one sentence, and nothing else happens."""

import io
import json
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import soundfile

RATE = 8000
FRAMES = 4000
TONE = np.clip(0.6 * np.sin(2 * np.pi * 440 * np.arange(FRAMES) / RATE), -0.5, 0.5)
MENDED, REFUSED = 0, 1


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return (
        name + struct.pack("<I", len(content) if size is None else size) + content + bytes(len(content) % 2)
    )


def form(rate: int = RATE, channels: int = 1, bits: int = 16, tag: int = 1) -> bytes:
    block = channels * bits // 8
    rates = min(rate, 2**32 - 1), min(rate * block, 2**32 - 1), min(block, 65535)
    return chunk(b"fmt ", struct.pack("<HHIIHH", tag, min(channels, 65535), *rates, bits))


def riff(*chunks: bytes, kind: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"WAVE" + b"".join(chunks)
    return kind + struct.pack("<I", len(body) if size is None else size) + body


def samples(x: np.ndarray = TONE, dtype: str = "<i2", scale: float = 2**15) -> bytes:
    return (x * scale).astype(dtype).tobytes()


def data(x: np.ndarray = TONE, **how: object) -> bytes:
    return chunk(b"data", samples(x, **how))  # type: ignore[arg-type]


def float_wav(x: np.ndarray) -> bytes:
    return riff(form(bits=32, tag=3), data(x, dtype="<f4", scale=1))


def ds64(data_size: int, frames: int) -> bytes:
    return chunk(b"ds64", struct.pack("<QQQI", 0, data_size, frames, 0))


def flac(frames: int = FRAMES, rate: int = RATE, channels: int = 1) -> bytes:
    """With what STREAMINFO declares in the place of the truth."""
    content = bytearray(encoded("FLAC", "PCM_16"))
    packed = rate << 44 | (channels - 1) << 41 | 15 << 36 | frames
    content[18:26] = struct.pack(">Q", packed)
    return bytes(content)


def encoded(container: str, subtype: str, channels: int = 1) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.tile(TONE[:, None], channels), RATE, subtype, format=container)
    return file.getvalue()


def odd(value: float) -> np.ndarray:
    x = TONE.copy()
    x[100] = value
    return x


@dataclass(frozen=True)
class Hostile:
    """What is in the file, how `declip` must end, and what it says."""

    content: bytes
    code: int
    words: str = ""
    suffix: str = ".wav"


WAV = riff(form(), data())
FILES = {
    "0 bytes": Hostile(b"", REFUSED, "is empty (0 bytes)"),
    "1 byte": Hostile(b"R", REFUSED, "not a sound file"),
    "RIFF alone": Hostile(b"RIFF", REFUSED, "not a sound file"),
    "header alone": Hostile(riff(), REFUSED, "not a sound file"),
    "format alone": Hostile(riff(form()), REFUSED, "not a sound file"),
    "no sample": Hostile(riff(form(), chunk(b"data", b"")), REFUSED, "holds no sample"),
    "1 sample": Hostile(riff(form(), data(TONE[:1])), MENDED),
    "half a sample": Hostile(riff(form(), chunk(b"data", b"\1")), REFUSED, "holds no sample"),
    "an odd byte at the end": Hostile(riff(form(), chunk(b"data", samples() + b"\1")), MENDED),
    "rate 0": Hostile(riff(form(rate=0), data()), REFUSED, "not a sound file"),
    "rate 1": Hostile(riff(form(rate=1), data()), REFUSED, "sample rate of 1 Hz"),
    "rate 2^31": Hostile(riff(form(rate=2**31), data()), REFUSED, "in"),
    "rate 2^32 - 1": Hostile(riff(form(rate=2**32 - 1), data()), REFUSED, "in"),
    "0 channels": Hostile(riff(form(channels=0), data()), REFUSED, "in"),
    "65 channels": Hostile(riff(form(channels=65), data(np.zeros(650))), REFUSED, "65 channels; 1 to 64"),
    "384 channels": Hostile(riff(form(channels=384), data(np.zeros(3840))), REFUSED, "384 channels"),
    "65535 channels": Hostile(riff(form(channels=65535), data()), REFUSED, "in"),
    "0 bits": Hostile(riff(form(bits=0), data()), REFUSED, "not a sound file"),
    "65535 bits": Hostile(riff(form(bits=65535), data()), REFUSED, "not a sound file"),
    "unknown codec": Hostile(riff(form(tag=0x7777), data()), REFUSED, "not a sound file"),
    "data before format": Hostile(riff(data(), form()), REFUSED, "not a sound file"),
    "two formats": Hostile(riff(form(), form(rate=16_000), data()), REFUSED, "not a sound file"),
    "two data chunks": Hostile(riff(form(), data(), data()), REFUSED, "not a sound file"),
    "data of 2^32 - 1 bytes": Hostile(riff(form(), chunk(b"data", samples(), 2**32 - 1)), MENDED),
    "data of 2^31 bytes": Hostile(riff(form(), chunk(b"data", samples(), 2**31)), MENDED),
    "data of 0 bytes, and more": Hostile(riff(form(), chunk(b"data", samples(), 0), size=36), MENDED),
    "RIFF of 0 bytes": Hostile(riff(form(), data(), size=0), MENDED),
    "RIFF of 2^32 - 1 bytes": Hostile(riff(form(), data(), size=2**32 - 1), MENDED),
    "format of 2^32 - 1 bytes": Hostile(riff(chunk(b"fmt ", form()[8:], 2**32 - 1), data()), REFUSED, "in"),
    "10,000 chunks": Hostile(
        riff(form(), *[chunk(b"junk", b"ab")] * 10_000, data()), REFUSED, "not a sound file"
    ),
    "10,000 cue chunks behind": Hostile(riff(form(), data(), *[chunk(b"cue ", bytes(4))] * 10_000), MENDED),
    "a text that is none": Hostile(riff(form(), data(), chunk(b"LIST", b"INFOIART\xff\xff\xff\x7f")), MENDED),
    "a list within itself": Hostile(riff(form(), data(), chunk(b"LIST", b"LIST" * 1000)), MENDED),
    "RF64 without sizes": Hostile(riff(ds64(0, 0), form(), data(), kind=b"RF64"), REFUSED, "in"),
    "RF64 of 2^63 - 1 frames": Hostile(
        riff(ds64(2**63 - 1, 2**63 - 1), form(), chunk(b"data", samples(), 2**32 - 1), kind=b"RF64"), MENDED
    ),
    "RF64 without ds64": Hostile(riff(form(), data(), kind=b"RF64"), MENDED, "declares more"),
    "NaN": Hostile(float_wav(odd(np.nan)), REFUSED, "1 samples that are NaN, infinite"),
    "infinity": Hostile(float_wav(odd(-np.inf)), REFUSED, "1 samples that are NaN, infinite"),
    "1e30": Hostile(float_wav(odd(1e30)), REFUSED, "beyond 1e+12"),
    "denormals": Hostile(float_wav(np.full(FRAMES, 1e-42)), MENDED),
    "negative zeros": Hostile(float_wav(np.full(FRAMES, -0.0)), MENDED),
    "FLAC of 2^36 - 1 frames": Hostile(flac(frames=2**36 - 1), MENDED, "declares 68,719,476,735", ".flac"),
    "FLAC of 1 frame, and more": Hostile(flac(frames=1), MENDED, "", ".flac"),
    "FLAC of rate 0": Hostile(flac(rate=0), REFUSED, "in", ".flac"),
    "FLAC of 8 channels, and 1": Hostile(flac(channels=8), REFUSED, "in", ".flac"),
    "FLAC cut in its header": Hostile(flac()[:20], REFUSED, "not a sound file", ".flac"),
    "OGG of zeros": Hostile(b"OggS" + bytes(5000), REFUSED, "not a sound file", ".ogg"),
    "MP3 of zeros": Hostile(b"\xff\xfb\x90\x00" + bytes(5000), REFUSED, "in", ".mp3"),
    "100 MB of ID3": Hostile(b"ID3\4\0\0\x2f\x57\x58\0" + bytes(1000), REFUSED, "not a sound file", ".mp3"),
    "a MIDI sample dump": Hostile(b"\xf0\x7e\0\1" + bytes(200), REFUSED, "MIDI sample dump", ".sds"),
    "a page": Hostile(b"<!DOCTYPE html><title>404</title>", REFUSED, "not a sound file"),
    "a header in an empty room": Hostile(WAV[:44] + bytes(3 << 20), MENDED),
}


def test_there_are_fifty() -> None:
    assert len(FILES) >= 50


@pytest.mark.parametrize("name", FILES)
def test_it_is_mended_or_refused_in_a_sentence(name: str, cli: Callable, tmp_path: Path) -> None:
    hostile = FILES[name]
    source, out = tmp_path / f"in{hostile.suffix}", tmp_path / "out.wav"
    source.write_bytes(hostile.content)
    done = cli("declip", source, out, "--model", "wiener", "--steps", 1, "--json")
    assert (done.code, out.exists()) == (hostile.code, hostile.code == MENDED), done.err
    assert hostile.words in done.err
    assert sorted(os.listdir(tmp_path)) == sorted({source.name, *(["out.wav"] if done.code == 0 else [])})
    assert source.read_bytes() == hostile.content
    if done.code == MENDED:
        frames = json.loads(done.out)["input"]["frames"]
        assert soundfile.info(out).frames == frames
    else:
        said = [line for line in done.err.splitlines() if not line.startswith("Note: ")]  # of libmpg123
        assert len(said) == 1
        assert said[0].startswith("Error: ")
        assert done.out == b""
