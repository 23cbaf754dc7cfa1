"""How often each detector finds what is there, how wrong its estimate is, and how often it finds what is not.

Run: python benchmarks/diagnosis.py --data DIR

DIR holds train/ and test/ with recordings and manifests. Clips of 5 s are cut from them and examined as they
are, then damaged in known ways, every third of them, and examined by the detector of that damage. What a
manifest says of a recording (where its band ends, that it is lossy, that it hums) is no false alarm.
"""

import argparse
import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import fftconvolve

from audiomend.audio.resample import resample
from audiomend.detect import bandwidth, channels, clicks, codec, dropouts, gaps, hum, noise, offset, quantisation
from audiomend.detect import reverberation, tops
from audiomend.detect.bent_tops import find_bent_tops
from audiomend.detect.clipping import find_clipping
from audiomend.detect.content import find_content
from audiomend.detect.finding import Finding
from audiomend.operators.hard_clip import HardClip, threshold_for_sdr
from audiomend.operators.low_pass import LowPass
from audiomend.restorers.inspection import inspect

CLIP_S = 5
CLIPS = {  # of one recording at most, and every how many recordings
    "train/music": (3, 1),
    "train/singing": (8, 1),
    "train/speech_wb16": (1, 4),
    "train/piano_samples": (1, 7),
    "test/music": (1, 1),
    "test/piano_render": (1, 1),
    "test/speech": (1, 1),
}
DAMAGED = 3  # every third clip
FULL_BAND = 0.95
Array = np.ndarray


@dataclass(frozen=True)
class Clip:
    """Five seconds of a recording: (channels, time), rate, set, and what the manifest says of it."""

    audio: Array
    rate: int
    folder: str
    about: dict[str, str]

    @property
    def is_speech(self) -> bool:
        return "speech" in self.folder

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.audio))))


def clips(data: Path) -> Iterator[Clip]:
    for folder, (most, every) in CLIPS.items():
        with (data / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if float(row["seconds"]) >= CLIP_S]
        for row in rows[::every]:
            samples, rate = soundfile.read(data / folder / row["file"], always_2d=True, dtype="float64")
            length = CLIP_S * rate
            count = min(most, len(samples) // length)
            apart = (len(samples) - count * length) // (count + 1)
            for k in range(count):
                first = apart + (length + apart) * k
                yield Clip(np.ascontiguousarray(samples[first : first + length].T), rate, folder, row)


def is_known(damage: str, clip: Clip) -> bool:
    """Whether the recording is known to have this: by its manifest, or by being what it is."""
    row, audio = clip.about, clip.audio
    if damage == "clipping":
        return int(row.get("flat_runs") or 0) > 0
    if damage == "bandwidth":
        falls_off = "kerstin" in row["file"]  # "energy falls off above 7.4 kHz"
        return float(row["bandwidth_hz"]) < FULL_BAND * clip.rate / 2 or falls_off
    if damage == "lossy codec":
        return not row["file"].endswith(".flac") or row.get("lossless_origin") == "no"
    if damage == "hum":  # the first is told by the manifest, the second hums at 50 Hz in every sample
        return "08_guitar_electric" in row["file"] or "salamander" in row["file"]
    if damage == "channel faults":
        return len(audio) > 1 and bool(np.abs(audio[0] - audio[1]).max() <= 2**-15 + 0.01 * clip.rms)
    return False


def clean_table(all_clips: list[Clip]) -> None:
    alarms, known, count = Counter[str](), Counter[str](), Counter[str]()
    where: dict[str, list[str]] = {}
    right, seconds = Counter[bool](), time.process_time()
    for clip in all_clips:
        diagnosis = inspect(clip.audio, clip.rate)
        right[clip.is_speech] += (diagnosis.content.kind == "speech") == clip.is_speech
        for finding in diagnosis.findings:
            name = finding.damage
            if is_known(name, clip):
                known[name] += finding.is_found
                continue
            count[name] += 1
            alarms[name] += finding.is_found
            if finding.is_found:
                where.setdefault(name, []).append(clip.about["file"])
    seconds = time.process_time() - seconds
    length = CLIP_S * sum(len(clip.audio) for clip in all_clips)
    print("| damage | clips without it | false alarms | share | known and found |")
    print("| --- | --- | --- | --- | --- |")
    for name in count:
        print(f"| {name} | {count[name]} | {alarms[name]} | {alarms[name] / count[name]:.1%} | {known[name]} |")
    print(f"\nFalse alarms: {where}")
    speech = sum(clip.is_speech for clip in all_clips)
    print(f"\nTaken for speech: {right[True]} of {speech} clips of speech,", end=" ")
    print(f"{len(all_clips) - speech - right[False]} of {len(all_clips) - speech} of music.")
    print(f"\n{len(all_clips)} clips, {seconds / length:.4f} s CPU for a second of one channel.\n")


# --- damages: each makes a damaged clip and gives the finding and the error of the estimate -------------------

Result = tuple[Finding, float]  # NaN where there is no estimate
Case = Callable[[Clip, np.random.Generator], Result | None]


def clipped(clip: Clip, sdr_db: float) -> tuple[Array, float]:
    x = torch.from_numpy(clip.audio[:1])
    level = float(threshold_for_sdr(x, sdr_db))
    return np.clip(clip.audio[:1], -level, level), level


def top_finding(x: Array, level: float) -> Result:
    found = tops.tops(find_clipping(x), find_bent_tops(x))
    levels = [abs(v) for t in found for v in (t.low, t.high) if np.isfinite(v)]
    return tops.finding(found), abs(np.mean(levels) / level - 1) if levels else np.nan


def hard(sdr_db: float, gain: float = 1.0) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x, level = clipped(clip, sdr_db)
        return top_finding((x * gain).astype(np.float32).astype(np.float64), level * gain)

    return case


def coded(sdr_db: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x, level = clipped(clip, sdr_db)
        y = mp3(0.7 * x, clip.rate, 128)
        return top_finding(y, level * 0.7 * gain_of(x * 0.7, y))

    return case


def soft(drive: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x = clip.audio[:1] / np.abs(clip.audio[0]).max()
        return top_finding(np.tanh(drive * x), float("nan"))

    return case


def mp3(x: Array, rate: int, kbit: int) -> Array:
    """Coded at a constant rate and decoded again."""
    level = (320 - kbit) / (320 - 32) if rate >= 32_000 else 0.5
    buffer = io.BytesIO()
    soundfile.write(
        buffer, x.T, rate, format="MP3", subtype="MPEG_LAYER_III", bitrate_mode="CONSTANT", compression_level=level
    )
    buffer.seek(0)
    return soundfile.read(buffer, always_2d=True)[0].T


def gain_of(x: Array, y: Array) -> float:
    return float(np.sqrt(np.mean(np.square(y)) / np.mean(np.square(x))))
