"""Copy a sparse sound file of so many bytes as a mended one is written; print frames and the peak of memory.

Run in a process of its own: `python large_file.py BYTES FOLDER`. The peak is in MiB, resident.
"""

import struct
import sys
from pathlib import Path

import numpy as np
import soundfile

from audiomend.audio.blocks import Spill, assemble
from audiomend.audio.file import open_sound, survey
from audiomend.audio.output import check_output

RATE, CHANNELS, FRAME_BYTES = 96_000, 2, 16
DS64_SIZES = 20  # of the file, of its sound, in frames: 64 bits each


def sparse(path: Path, size: int) -> int:
    """An RF64 of about `size` bytes of silence that ends with two frames of -0.25 and 0.75; its frames."""
    with soundfile.SoundFile(path, "w", RATE, CHANNELS, "DOUBLE", format="RF64"):
        pass
    header = path.stat().st_size
    frames = (size - header) // FRAME_BYTES
    with path.open("r+b") as file:
        file.truncate(header + frames * FRAME_BYTES)
        file.seek(DS64_SIZES)
        file.write(struct.pack("<3Q", header + frames * FRAME_BYTES - 8, frames * FRAME_BYTES, frames))
        file.seek(-2 * FRAME_BYTES, 2)
        file.write(np.repeat([-0.25, 0.75], CHANNELS).astype("<f8").tobytes())
    return frames


def main(size: int, folder: Path) -> None:
    frames = sparse(folder / "in.wav", size)
    with open_sound(folder / "in.wav") as sound, Spill(CHANNELS, np.float64) as spill:
        target = check_output(folder / "out.wav", sound, force=False)
        found = survey(sound)
        spill.add(frames - 2, np.full((CHANNELS, 1), 0.5), np.ones(1, bool))
        written = assemble(sound, found, spill, target)
    with soundfile.SoundFile(folder / "out.wav") as file:
        file.seek(frames - 3)
        end = file.read()[:, 0].tolist()
        told = found.frames, file.frames, file.format, written.changed, end
    assert told == (frames, frames, "RF64", CHANNELS, [0.0, 0.5, 0.75]), told
    assert found.warnings == ()
    status = Path("/proc/self/status").read_text()
    peak_kb = next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM"))
    print(frames, int(peak_kb) // 1024)


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
