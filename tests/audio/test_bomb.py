"""Files that become a thousand times as large when they are decoded: memory does not follow.

There is no limit on the length of what is decoded: a command line serves whoever calls it, who can stop it,
and an hour of silence is a sound. What is decoded is read in blocks, and only changed samples are kept.
"""

import subprocess
import sys
from pathlib import Path

import numpy as np
import soundfile

MINUTES, RATE, CHANNELS = 2, 48_000, 8
LEAST_RATIO = 1000
MOST_MIB = 150
READ = """
import sys
from audiomend.audio.file import open_sound, survey
from audiomend.audio.reader import by_position
with open_sound(sys.argv[1]) as sound:
    found = survey(sound)
    with by_position(sound, found.frames) as reader:
        reader.read(found.frames - 1000, found.frames)
status = open("/proc/self/status").read()
print(found.frames, next(line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")))
"""


def test_memory_does_not_follow_what_is_decoded(tmp_path: Path) -> None:
    path = tmp_path / "bomb.flac"
    silence = np.zeros((60 * RATE, CHANNELS), np.int16)
    with soundfile.SoundFile(
        path, "w", RATE, CHANNELS, "PCM_16", format="FLAC", compression_level=1.0
    ) as file:
        for _ in range(MINUTES):
            file.write(silence)
    decoded = MINUTES * 60 * RATE * CHANNELS * 4  # as float32
    assert decoded > LEAST_RATIO * path.stat().st_size
    done = subprocess.run([sys.executable, "-c", READ, str(path)], capture_output=True, text=True, check=True)
    frames, peak_kb = map(int, done.stdout.split())
    assert frames == MINUTES * 60 * RATE
    assert decoded > MOST_MIB << 20
    assert peak_kb / 1024 < MOST_MIB
