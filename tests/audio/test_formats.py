"""Number formats: which values they hold, which is nearest, which format an output gets."""

import io

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from audiomend.audio.formats import Format, as_float, by_suffix, from_float, is_refinement, to_float
from audiomend.errors import UsageError

BITS = {"PCM_U8": 8, "PCM_S8": 8, "PCM_16": 16, "ALAC_20": 20, "PCM_24": 24, "PCM_32": 32}


@pytest.mark.parametrize(("subtype", "bits"), BITS.items())
def test_bits(subtype, bits):
    assert Format("WAV", subtype).bits == bits


@pytest.mark.parametrize(("subtype", "bits"), [("FLOAT", 24), ("DOUBLE", 53), ("VORBIS", 24), ("ULAW", 16)])
def test_bits_of_others(subtype, bits):
    assert Format("WAV", subtype).bits == bits


@pytest.mark.parametrize(
    ("subtype", "dtype"),
    [
        ("PCM_U8", "int32"),
        ("ALAW", "int32"),
        ("FLOAT", "float32"),
        ("DOUBLE", "float64"),
        ("OPUS", "float32"),
    ],
)
def test_native_type(subtype, dtype):
    assert Format("WAV", subtype).dtype == dtype


@pytest.mark.parametrize(
    ("subtype", "ceiling"),
    [
        ("PCM_U8", 127 / 128),
        ("PCM_16", 32767 / 32768),
        ("PCM_24", 1 - 2**-23),
        ("PCM_32", 1 - 2**-31),
        ("ULAW", 32124 / 32768),
        ("ALAW", 32256 / 32768),
        ("VORBIS", 1.0),
        ("FLOAT", np.inf),
        ("DOUBLE", np.inf),
    ],
)
def test_ceiling(subtype, ceiling):
    assert Format("WAV", subtype).ceiling == ceiling


@pytest.mark.parametrize(
    ("subtype", "is_exact"),
    [
        ("PCM_24", True),
        ("FLOAT", True),
        ("ULAW", True),
        ("ALAC_16", True),
        ("VORBIS", False),
        ("GSM610", False),
    ],
)
def test_exact_formats(subtype, is_exact):
    assert Format("WAV", subtype).is_exact is is_exact


def test_to_float_is_a_fraction_of_full_scale():
    native = np.array([-(2**31), -1, 0, 1 << 16, 2**31 - 1], np.int32)
    np.testing.assert_array_equal(to_float(native), [-1.0, -(2.0**-31), 0.0, 2.0**-15, 1 - 2.0**-31])


def test_to_float_keeps_floats():
    native = np.array([-0.0, 1e-40, 1.5], np.float32)
    assert to_float(native).dtype == np.float64
    np.testing.assert_array_equal(to_float(native), native.astype(np.float64))


@pytest.mark.parametrize(("subtype", "bits"), BITS.items())
@settings(deadline=None, max_examples=20)
@given(seed=st.integers(0, 2**32 - 1))
def test_every_code_comes_back(subtype, bits, seed):
    codes = np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2 ** (bits - 1), 50)
    codes[:2] = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    native = (codes << (32 - bits)).astype(np.int32)
    np.testing.assert_array_equal(from_float(to_float(native), Format("WAV", subtype)), native)


@pytest.mark.parametrize(("subtype", "bits"), BITS.items())
def test_the_nearest_code_is_taken(subtype, bits):
    step = 2.0 ** (1 - bits)
    samples = np.array([0.4, 0.6, -0.4, -0.6, 1.5, 2.5, 100.49]) * step
    codes = from_float(samples, Format("WAV", subtype)) >> (32 - bits)
    np.testing.assert_array_equal(codes, [0, 1, 0, -1, 2, 2, 100])


@pytest.mark.parametrize(("subtype", "bits"), BITS.items())
def test_overs_are_clamped(subtype, bits):
    top = 2 ** (bits - 1)
    codes = from_float(np.array([1.0, 7.0, -1.0, -7.0]), Format("WAV", subtype)) >> (32 - bits)
    np.testing.assert_array_equal(codes, [top - 1, top - 1, -top, -top])


def test_floats_hold_overs():
    samples = np.array([-3.5, 1e-40, 2.0])
    np.testing.assert_array_equal(from_float(samples, Format("WAV", "DOUBLE")), samples)
    np.testing.assert_array_equal(from_float(samples, Format("WAV", "FLOAT")), samples.astype(np.float32))


def test_lossy_codecs_are_clamped():
    clamped = from_float(np.array([-3.5, 0.25, 2.0]), Format("OGG", "VORBIS"))
    np.testing.assert_array_equal(clamped, np.array([-1.0, 0.25, 1.0], np.float32))
    assert clamped.dtype == np.float32


def companded_values(subtype: str) -> np.ndarray:
    """The 16-bit values of all 256 codes, by libsndfile's decoder."""
    values = np.zeros((256, 1), np.int32)
    codes = io.BytesIO(bytes(range(256)))
    with soundfile.SoundFile(codes, "r", 8000, 1, subtype, None, "RAW") as file:
        file.buffer_read_into(values, "int32")
    return np.unique(values >> 16)


@pytest.mark.parametrize("subtype", ["ULAW", "ALAW"])
def test_companded_samples_round_to_the_nearest_value(subtype):
    values = companded_values(subtype)
    samples = np.arange(-32768, 32768, 7)
    codes = from_float(samples / 32768, Format("WAV", subtype)) >> 16
    assert set(codes) <= set(values)
    nearest = np.abs(samples[:, None] - values).min(axis=1)
    np.testing.assert_array_equal(np.abs(samples - codes), nearest)


@pytest.mark.parametrize(
    ("source", "suffix", "container", "subtype"),
    [
        (Format("WAV", "PCM_U8"), ".wav", "WAV", "PCM_U8"),
        (Format("WAVEX", "PCM_24"), ".WAV", "WAVEX", "PCM_24"),
        (Format("RF64", "FLOAT"), ".wav", "RF64", "FLOAT"),
        (Format("FLAC", "PCM_S8"), ".flac", "FLAC", "PCM_S8"),
        (Format("OGG", "OPUS"), ".ogg", "OGG", "OPUS"),
        (Format("OGG", "VORBIS"), ".opus", "OGG", "OPUS"),
        (Format("VOC", "PCM_U8"), ".voc", "VOC", "PCM_U8"),
        (Format("VOC", "PCM_U8"), ".wav", "WAV", "PCM_16"),
        (Format("FLAC", "PCM_16"), ".wav", "WAV", "PCM_16"),
        (Format("FLAC", "PCM_24"), ".aiff", "AIFF", "PCM_24"),
        (Format("WAV", "PCM_32"), ".flac", "FLAC", "PCM_24"),
        (Format("WAV", "FLOAT"), ".flac", "FLAC", "PCM_24"),
        (Format("WAV", "FLOAT"), ".caf", "CAF", "FLOAT"),
        (Format("WAV", "DOUBLE"), ".w64", "W64", "DOUBLE"),
        (Format("WAV", "ULAW"), ".wav", "WAV", "ULAW"),
        (Format("WAV", "ULAW"), ".flac", "FLAC", "PCM_16"),
        (Format("MP3", "MPEG_LAYER_III"), ".wav", "WAV", "FLOAT"),
        (Format("MP3", "MPEG_LAYER_III"), ".mp3", "MP3", "MPEG_LAYER_III"),
        (Format("WAV", "PCM_16"), ".mp3", "MP3", "MPEG_LAYER_III"),
        (Format("WAV", "PCM_16"), ".ogg", "OGG", "VORBIS"),
        (Format("WAV", "PCM_16"), ".rf64", "RF64", "PCM_16"),
        (Format("CAF", "ALAC_16"), ".caf", "CAF", "PCM_16"),
        (Format("CAF", "ALAC_20"), ".caf", "CAF", "PCM_24"),
    ],
)
def test_format_of_an_output(source, suffix, container, subtype):
    source_suffix = f".{source.container.lower()}"
    chosen = by_suffix(source, source_suffix, suffix)
    assert (chosen.container, chosen.subtype) == (container, subtype)


def test_byte_order_is_kept():
    assert by_suffix(Format("WAV", "PCM_16", "BIG"), ".wav", ".wav").endian == "BIG"


@pytest.mark.parametrize("suffix", [".xyz", "", ".m4a", ".voc"])
def test_unknown_suffix_is_refused_with_the_known_ones(suffix):
    with pytest.raises(UsageError, match=rf"'{suffix}'.*\.wav .*\.flac"):
        by_suffix(Format("WAV", "PCM_16"), ".wav", suffix)


@pytest.mark.parametrize(
    ("target", "subtype"),
    [
        (Format("WAV", "PCM_16"), "FLOAT"),
        (Format("WAV", "PCM_24"), "FLOAT"),
        (Format("WAV", "PCM_32"), "DOUBLE"),
        (Format("AIFF", "ULAW"), "FLOAT"),
        (Format("FLAC", "PCM_16"), None),
        (Format("OGG", "VORBIS"), None),
    ],
)
def test_floats_that_keep_every_sample(target, subtype):
    floats = as_float(target)
    assert (floats and floats.subtype) == subtype
    assert floats is None or floats.container == target.container


@pytest.mark.parametrize(
    ("target", "source", "expected"),
    [
        ("PCM_16", "PCM_16", True),
        ("PCM_24", "PCM_16", True),
        ("PCM_16", "PCM_24", False),
        ("FLOAT", "PCM_16", False),
        ("PCM_16", "ULAW", True),
        ("ULAW", "PCM_16", False),
        ("ULAW", "ULAW", True),
        ("DOUBLE", "FLOAT", False),
    ],
)
def test_where_native_samples_need_no_conversion(target, source, expected):
    assert is_refinement(Format("WAV", target), Format("WAV", source)) is expected
