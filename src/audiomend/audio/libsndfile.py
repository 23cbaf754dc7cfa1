"""Two calls of libsndfile that soundfile does not make, through soundfile's own binding."""
# pyright: reportPrivateUsage=false

from typing import Any

import soundfile
from numpy.typing import NDArray

SYSTEM_ERROR = 2  # the code for a read that the system refused

_SET_ADD_PEAK_CHUNK = 0x1050


def read_frames(file: soundfile.SoundFile, native: NDArray[Any]) -> tuple[int, int]:
    """Fill (frames, channels) native samples from the position on.

    Returns how many frames came and libsndfile's error code, 0 for none. soundfile's own reading stops at
    the declared count, seeks after each block, and drops what a decoder gave before it failed.
    """
    read, kind = {
        "int32": (soundfile._snd.sf_readf_int, "int*"),
        "float32": (soundfile._snd.sf_readf_float, "float*"),
        "float64": (soundfile._snd.sf_readf_double, "double*"),
    }[native.dtype.name]
    count = read(file._file, soundfile._ffi.cast(kind, native.ctypes.data), len(native))
    return int(count), int(soundfile._snd.sf_error(file._file))


def leave_out_peaks(file: soundfile.SoundFile) -> None:
    """Write no chunk of peaks: it holds the time of writing, and the same samples shall be the same bytes."""
    if file.format != "RF64":  # it gets none, unless it is told to leave it out
        soundfile._snd.sf_command(file._file, _SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, 0)
