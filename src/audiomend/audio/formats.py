"""Number formats and containers: how a file stores its samples, and what it can hold.

*Native* samples are what libsndfile hands out without loss: int32, left-justified, for every integer and
companded format (a 16-bit code k arrives as k * 2**16), and float32 or float64 for the others. Native samples
go back into a file of the same format bit for bit.
"""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import soundfile
from numpy.typing import NDArray

from audiomend.errors import UsageError

Array = NDArray[Any]

FULL_SCALE = 2.0**31  # native integers reach from -FULL_SCALE to FULL_SCALE - 1
FLOAT32_BITS = 24  # integers of so many bits are float32 numbers

_FLOATS = {
    "FLOAT": np.float32,
    "DOUBLE": np.float64,
    "VORBIS": np.float32,
    "OPUS": np.float32,
    "MPEG_LAYER_I": np.float32,
    "MPEG_LAYER_II": np.float32,
    "MPEG_LAYER_III": np.float32,
}
_BITS = {
    "PCM_S8": 8,
    "PCM_U8": 8,
    "DPCM_8": 8,
    "DWVW_12": 12,
    "ALAC_20": 20,
    "PCM_24": 24,
    "ALAC_24": 24,
    "DWVW_24": 24,
    "PCM_32": 32,
    "ALAC_32": 32,
}
_OTHER_BITS = 16  # every other integer or companded format decodes to 16 bits
_COMPANDED = ("ULAW", "ALAW")
_EXACT = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW", "ALAC_")

_CONTAINERS = {
    ".wav": "WAV",
    ".wave": "WAV",
    ".bwf": "WAV",
    ".rf64": "RF64",
    ".w64": "W64",
    ".flac": "FLAC",
    ".aif": "AIFF",
    ".aiff": "AIFF",
    ".aifc": "AIFF",
    ".caf": "CAF",
    ".au": "AU",
    ".snd": "AU",
    ".ogg": "OGG",
    ".oga": "OGG",
    ".opus": "OGG",
    ".mp3": "MP3",
}
SOUND_SUFFIXES = tuple(_CONTAINERS)
WAV_FAMILY = ("WAV", "WAVEX", "RF64")
_PCM_LADDER = ("PCM_16", "PCM_24", "PCM_32")
_LADDER = (*_PCM_LADDER, "FLOAT", "DOUBLE")


@dataclass(frozen=True)
class Format:
    """A container with a number format, in libsndfile's names ("WAV", "PCM_24", "FILE")."""

    container: str
    subtype: str
    endian: str = "FILE"

    @property
    def is_integer(self) -> bool:
        """Whether native samples are left-justified int32."""
        return self.subtype not in _FLOATS

    @property
    def bits(self) -> int:
        """Significant bits of an integer sample, of a float's mantissa otherwise."""
        if self.is_integer:
            return _BITS.get(self.subtype, _OTHER_BITS)
        return 53 if self.dtype == np.float64 else FLOAT32_BITS

    @property
    def dtype(self) -> np.dtype[Any]:
        """The type of native samples."""
        return np.dtype(_FLOATS.get(self.subtype, np.int32))

    @property
    def is_exact(self) -> bool:
        """Whether native samples survive being written and read again."""
        return self.subtype.startswith(_EXACT)

    @property
    def holds_overs(self) -> bool:
        """Whether values beyond full scale can be stored. Lossy codecs store them, players then clip."""
        return self.subtype in ("FLOAT", "DOUBLE")

    @property
    def ceiling(self) -> float:
        """The greatest value that the format holds; inf where it holds overs."""
        if self.holds_overs:
            return np.inf
        if not self.is_integer:
            return 1.0
        if self.subtype in _COMPANDED:
            return _companded_levels(self.subtype)[-1] / 2**15
        return 1 - 2.0 ** (1 - self.bits)


def to_float(native: Array) -> Array:
    """Native samples as float64, full scale 1; exact for every number format."""
    if native.dtype == np.int32:
        return native / FULL_SCALE
    with np.errstate(invalid="ignore"):  # a signalling NaN: whoever reads a file looks for NaN himself
        return native.astype(np.float64)


def from_float(samples: Array, target: Format) -> Array:
    """The native samples of `target` nearest to `samples` (full scale 1), clamped to what it holds.

    Ties go to even (companded: down). No dither: it would put noise where the exact value is known, and the
    output would not follow from the input; a file of unchanged level keeps the dither that it came with.
    """
    if target.holds_overs:
        return samples.astype(target.dtype)
    if not target.is_integer:
        return np.clip(samples, -1.0, 1.0).astype(target.dtype)
    scale = 2.0 ** (target.bits - 1)
    if target.subtype in _COMPANDED:
        codes = _nearest(samples * scale, _companded_levels(target.subtype))
    else:
        codes = np.clip(np.rint(samples * scale), -scale, scale - 1)
    return (codes.astype(np.int64) << (32 - target.bits)).astype(np.int32)


def _companded_levels(subtype: str) -> NDArray[np.float64]:
    """The sorted 16-bit values of G.711 (ITU-T 1988, tables 1 and 2).

    libsndfile's encoders keep these as they are; they do not round others to the nearest, and wrap
    around at -32768.
    """
    step, segment = np.arange(16), np.arange(8)[:, None]
    if subtype == "ULAW":
        positive = (8 * step + 132 << segment) - 132
    else:
        positive = np.where(segment == 0, 16 * step + 8, 16 * step + 264 << np.maximum(segment - 1, 0))
    return np.unique(np.concatenate((-positive, positive)).astype(np.float64))


def _nearest(values: Array, levels: Array) -> Array:
    return levels[np.searchsorted((levels[1:] + levels[:-1]) / 2, values)]


def is_refinement(target: Format, source: Format) -> bool:
    """Whether native samples of `source` are native samples of `target`, without conversion."""
    if source.dtype != target.dtype:
        return False
    return target.subtype == source.subtype or (
        target.bits >= source.bits and target.subtype not in _COMPANDED
    )


def by_suffix(source: Format, source_suffix: str, suffix: str) -> Format:
    """The format of an output named `*suffix`, made from a file of format `source`.

    The same format where the suffix is one of the source's container. Otherwise the smallest number format
    of the new container that holds every sample of the source, or its widest where none does.

    Raises:
        UsageError: the suffix names no format that can be written.
    """
    suffix = suffix.lower()
    container = _CONTAINERS.get(suffix)
    if _is_family(source, container, suffix) and _can_write(source):
        return source
    if container is None and suffix == source_suffix.lower() and _can_write(source):
        return source
    if container is None:
        allowed = " ".join(_CONTAINERS)
        raise UsageError(f"an output cannot end in '{suffix}'; it can end in {allowed}")
    return Format(container, _subtype(source, container, suffix))


def as_float(target: Format) -> Format | None:
    """`target` with floats that keep its samples exactly; None where the container has none."""
    return _first_writable(
        replace(target, subtype=subtype)
        for subtype in ("FLOAT", "DOUBLE")
        if _holds_every_sample(subtype, target)
    )


def _first_writable(formats: Iterable[Format]) -> Format | None:
    return next((candidate for candidate in formats if _can_write(candidate)), None)


def _can_write(candidate: Format) -> bool:
    if candidate.subtype.startswith("ALAC_"):
        # libsndfile 1.2.2 garbles what ALAC cannot compress (24-bit noise in stereo, say), and writes beyond
        # its table of packets (libsndfile issue 973).
        return False
    return soundfile.check_format(candidate.container, candidate.subtype, candidate.endian)


def _is_family(source: Format, container: str | None, suffix: str) -> bool:
    if suffix == ".opus" and source.subtype != "OPUS":
        return False
    if container == "WAV":
        return source.container in WAV_FAMILY
    return source.container == container


def _subtype(source: Format, container: str, suffix: str) -> str:
    if suffix == ".opus":
        return "OPUS"
    subtypes = [subtype for subtype in _LADDER if soundfile.check_format(container, subtype)]
    exact = [subtype for subtype in subtypes if _holds_every_sample(subtype, source)]
    widest_pcm = [subtype for subtype in reversed(_PCM_LADDER) if subtype in subtypes]
    return next(iter(exact + widest_pcm), None) or str(soundfile.default_subtype(container))


def _holds_every_sample(subtype: str, source: Format) -> bool:
    candidate = Format("WAV", subtype)
    return candidate.bits >= source.bits and (source.is_integer or not candidate.is_integer)
