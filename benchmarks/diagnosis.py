"""How often each detector finds what is there, how wrong its estimates are, how often it finds what is not.

Run: python benchmarks/diagnosis.py --data DIR [--other]

DIR holds train/ and test/ with recordings and manifests. Clips of 5 s are cut from them and examined as they
are, then damaged in known ways and examined by the detector of that damage. What a manifest says of a
recording (where its band ends, that it is lossy, that it hums) is no false alarm. Few recordings are whole or
lossless: false alarms of bandwidth and codec are counted again in every clip of those, and those of codec in
the MIDI pieces of train/piano_midi, played by FluidSynth.

With --other only the false alarms, on clips from other recordings or other places in them: those on which no
threshold was chosen. With --rounded only those where few steps of 8 or 16 bits are left of a clip. With
--cases only the rows whose names begin like one of these.
"""

import argparse
import csv
import io
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from itertools import product
from pathlib import Path

import numpy as np
import soundfile
import torch
from scipy.signal import fftconvolve

from audiomend.audio.resample import resample
from audiomend.data.level import RATE
from audiomend.data.midi import read_midi
from audiomend.data.orchestra import DRUM_CHANNEL, find_synth, orchestrate, play
from audiomend.data.score import excerpt
from audiomend.detect import (
    bandwidth,
    channels,
    clicks,
    codec,
    dropouts,
    gaps,
    hum,
    noise,
    offset,
    quantisation,
    reverberation,
    tops,
)
from audiomend.detect.content import SURE_VOICE, find_content
from audiomend.detect.finding import Finding
from audiomend.detect.speech_snr import find_speech_snr
from audiomend.operators.hard_clip import threshold_for_sdr
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
EVERY_CLIP = dict.fromkeys(CLIPS, (1000, 1))
FULL_BAND = 0.95
ABOVE_SHELF_HZ = 1500  # that a sound reaches at least, to have a shelf when coded
MATERIALS = ("piano", "music", "singing", "speech")
HOLES, HOLES_MS = {"gaps": -np.inf, "dropouts by 30 dB": -30.0}, (10, 50, 200)
PEAKS = ((8, 5), (8, 20), (8, 60), (8, 127), (16, 20), (16, 200))  # bits, and steps of the greatest sample
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
    def material(self) -> str:
        kinds = ("piano", "singing", "speech")
        return next((kind for kind in kinds if kind in self.folder + self.about.get("kind", "")), "music")

    @property
    def rms(self) -> float:
        return float(np.sqrt(np.mean(np.square(self.audio))))


def clips(data: Path, numbers: Mapping[str, tuple[int, int]], other: bool = False) -> Iterator[Clip]:
    """Those that are not silent."""
    for folder, (most, every) in numbers.items():
        with (data / folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = [row for row in csv.DictReader(file) if float(row["seconds"]) >= CLIP_S]
        for row in rows[every // 2 if other else 0 :: every]:
            samples, rate = soundfile.read(data / folder / row["file"], always_2d=True, dtype="float64")
            length = CLIP_S * rate
            count = min(most, len(samples) // length)
            apart = (len(samples) - count * length) // (count + 1)
            for k in range(count):
                first = (0 if other else apart) + (length + apart) * k
                clip = Clip(np.ascontiguousarray(samples[first : first + length].T), rate, folder, row)
                if clip.rms > 0:
                    yield clip


@cache
def renders(data: Path) -> tuple[Clip, ...]:
    """The middle of each piece, for instruments at random: no codec ever had it. None without FluidSynth."""
    synth, before = find_synth(), 3  # seconds that ring in
    if isinstance(synth, str):
        print(synth)
        return ()
    made: list[Clip] = []
    for number, path in enumerate(sorted((data / "train/piano_midi").glob("*.mid"))):
        score, random = read_midi(path), np.random.default_rng(number)
        middle = excerpt(score, (score.seconds - CLIP_S) / 2 - before, before + CLIP_S)
        parts = orchestrate(middle, random)
        folder = "renders with drums" if any(part[0] == DRUM_CHANNEL for part in parts) else "renders"
        sound = play(synth, parts, reverb=True, chorus=True)
        audio = sound[before * RATE : (before + CLIP_S) * RATE].astype(np.float64)[None]
        hz = bandwidth.find_bandwidth(audio, RATE).cutoff_hz
        about = {"file": f"{path.stem}.flac", "bandwidth_hz": str(hz)}
        made.append(Clip(audio, RATE, folder, about))
    return tuple(clip for clip in made if clip.audio.shape[1] == CLIP_S * RATE and clip.rms > 0)


def is_known(damage: str, clip: Clip) -> bool:
    """Whether the recording is known to have this, by its manifest or what it is, or could not show it."""
    row, audio = clip.about, clip.audio
    if damage == "clipping":
        return int(row.get("flat_runs") or 0) > 0
    if damage == "bandwidth":
        falls_off = "kerstin" in row["file"]  # "energy falls off above 7.4 kHz"
        return float(row["bandwidth_hz"]) < FULL_BAND * clip.rate / 2 or falls_off
    if damage == "lossy codec":
        if clip.rate / 2 < codec.HIGHEST_HZ:
            return True
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
        print(
            f"| {name} | {count[name]} | {alarms[name]} | {alarms[name] / count[name]:.1%} | {known[name]} |"
        )
    for name, files in where.items():
        print(f"\nFalse alarms of {name}: {', '.join(sorted(set(files)))}.")
    speech = sum(clip.is_speech for clip in all_clips)
    print(f"\nTaken for speech: {right[True]} of {speech} clips of speech,", end=" ")
    print(f"{len(all_clips) - speech - right[False]} of {len(all_clips) - speech} of music.")
    print(f"\n{len(all_clips)} clips, {seconds / length:.4f} s CPU for a second of one channel.\n")


def whole_table(data: Path) -> None:
    """False alarms of a missing band and of a codec in all that has neither."""
    alarms: dict[tuple[str, str], list[str]] = {}
    count = Counter[tuple[str, str]]()
    for source in (clips(data, EVERY_CLIP), renders(data)):
        for clip in source:
            detector = bandwidth.BandwidthDetector(len(clip.audio), clip.rate)
            detector.add(clip.audio)
            findings = [codec.finding(codec.shelf_of(detector))]
            if "renders" not in clip.folder:  # the band of what the soundfont has is not known
                findings.append(bandwidth.finding(detector.result(), clip.rate))
            for finding in findings:
                if not is_known(finding.damage, clip):
                    place = (finding.damage, clip.folder)
                    count[place] += 1
                    if finding.is_found:
                        alarms.setdefault(place, []).append(f"{clip.about['file']} ({finding.summary})")
    print("| damage | clips without it, from | number | false alarms |\n| --- | --- | --- | --- |")
    for name, folder in sorted(count):
        print(f"| {name} | {folder} | {count[name, folder]} | {len(alarms.get((name, folder), []))} |")
    for (name, folder), where in sorted(alarms.items()):
        print(f"\nFalse alarms of {name} in {folder}: {', '.join(where)}.")
    print(flush=True)


def rounded_table(all_clips: list[Clip]) -> None:
    """False alarms where rounding is coarse, but for what is found in a clip as it is."""
    damages = ("clipping", "clicks", "gaps", "dropouts")
    before = [{f.damage for f in inspect(clip.audio, clip.rate).findings if f.is_found} for clip in all_clips]
    print(f"| bits | steps | clips | {' | '.join(damages)} |\n|{' --- |' * (3 + len(damages))}")
    for bits, steps in PEAKS:
        alarms = Counter[str]()
        for clip, there in zip(all_clips, before, strict=True):
            rounded = np.rint(clip.audio / np.abs(clip.audio).max() * steps) / 2 ** (bits - 1)
            found = inspect(rounded, clip.rate).findings
            alarms.update(f.damage for f in found if f.is_found and f.damage not in there)
        counts = " | ".join(str(alarms[damage]) for damage in damages)
        print(f"| {bits} | {steps} | {len(all_clips)} | {counts} |", flush=True)


# --- damages: each makes a damaged clip and gives the finding and the errors of the estimates ---

Result = tuple[Finding, dict[str, float]]  # NaN where there is no estimate; what is right or wrong is 0 or 1
Case = Callable[[Clip, np.random.Generator], Result | None]


def clipped(clip: Clip, sdr_db: float) -> tuple[Array, float]:
    x = torch.from_numpy(clip.audio[:1])
    level = float(threshold_for_sdr(x, sdr_db))
    return np.clip(clip.audio[:1], -level, level), level


def top_finding(x: Array, rate: int, level: float, kind: str, share: float = 0.0) -> Result:
    """Of one channel that was clipped at a level, in a kind of way; share: of the samples, if it is known."""
    (found,) = tops.find_tops(x, rate, is_voice=find_content(x, rate).speech >= SURE_VOICE)
    levels = [abs(v) for v in (found.low, found.high) if np.isfinite(v)]
    errors = {
        "level, relative": relative(np.mean(levels), level) if levels else np.nan,
        "kind wrong": float(found.kind != kind) if found.kind != "none" else np.nan,
    }
    if kind == "soft":
        errors["curve wrong"] = float(found.bend.curve != "tanh") if found.bend else np.nan
    else:
        errors["share, relative"] = relative(found.share, share) if levels else np.nan
    return tops.finding((found,)), errors


def relative(found: float | np.floating, true: float) -> float:
    return float(abs(found / true - 1))


def hard(sdr_db: float, gain: float = 1.0) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x, level = clipped(clip, sdr_db)
        y = (x * gain).astype(np.float32).astype(np.float64)
        return top_finding(y, clip.rate, level * gain, "hard", share_at(x, level))

    return case


def share_at(x: Array, level: float) -> float:
    return float(np.mean(np.abs(x) >= level))


def coded(sdr_db: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x, level = clipped(clip, sdr_db)
        y = mp3(0.7 * x, clip.rate, 128)
        return top_finding(y, clip.rate, level * 0.7 * gain_of(x * 0.7, y), "bent", share_at(x, level))

    return case


def soft(drive: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x = clip.audio[:1] / np.abs(clip.audio[0]).max()
        return top_finding(np.tanh(drive * x), clip.rate, 1.0, "soft")

    return case


def coded_soft(drive: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        x = np.tanh(drive * clip.audio[:1] / np.abs(clip.audio[0]).max())
        y = mp3(0.7 * x, clip.rate, 128)
        return top_finding(y, clip.rate, 0.7 * gain_of(x * 0.7, y), "soft")

    return case


def mp3(x: Array, rate: int, kbit: int) -> Array:
    """Coded at a constant rate and decoded again."""
    level = (320 - kbit) / (320 - 32) if rate >= 32_000 else 0.5
    buffer = io.BytesIO()
    soundfile.write(
        buffer,
        x.T,
        rate,
        format="MP3",
        subtype="MPEG_LAYER_III",
        bitrate_mode="CONSTANT",
        compression_level=level,
    )
    buffer.seek(0)
    return soundfile.read(buffer, always_2d=True)[0].T


def gain_of(x: Array, y: Array) -> float:
    return float(np.sqrt(np.mean(np.square(y)) / np.mean(np.square(x))))


def with_offset(level: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        mean = clip.audio.mean(axis=1)
        found = offset.find_offset(clip.audio + level, clip.rate)
        errors = [abs(f.level - m - level) / level for f, m in zip(found, mean, strict=True)]
        return offset.finding(found, is_clipped=False), {"offset, relative": float(np.mean(errors))}

    return case


def clicked(above_db: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        """Ten clicks of 1 to 19 samples."""
        x = clip.audio[:1].copy()
        places = (np.arange(10) * 0.45 + random.uniform(0.1, 0.5, 10)) * clip.rate
        for place in places.astype(int):
            width = int(random.integers(1, 20))
            x[0, place : place + width] += clip.rms * 10 ** (above_db / 20) * random.standard_normal(width)
        found = clicks.find_clicks(x, clip.rate)
        hit = [any(c.start - 3 <= place + 20 and place <= c.stop + 3 for c in found) for place in places]
        verdict = clicks.finding(found, CLIP_S, clip.rate, is_clipped=False)
        return verdict, {"share missed": 1 - float(np.mean(hit))}

    return case


def holes(clip: Clip, milliseconds: float, random: np.random.Generator) -> list[tuple[int, int, bool]]:
    """First sample of three stretches of the first channel, first after it, and whether the level of the
    10 ms on either side is within 20 dB of the clip's."""
    x, length, near = clip.audio[0], round(milliseconds * clip.rate / 1000), clip.rate // 100
    starts = [int((0.3 + 1.5 * k + random.uniform(0, 0.8)) * clip.rate) for k in range(3)]

    def is_loud(start: int) -> bool:
        beside = (x[start - near : start], x[start + length : start + length + near])
        return min(np.sqrt(np.mean(np.square(b))) for b in beside) > clip.rms / 10

    return [(start, start + length, is_loud(start)) for start in starts]


def find_holes(
    x: Array, rate: int, spans: list[tuple[int, int]], gain_db: float
) -> tuple[Finding, list[list[float]]]:
    """The verdict on x, (1, time), with this gain there, and what depths were found within 5 ms of each."""
    x, slack = x.copy(), 0.005 * rate
    for start, stop in spans:
        x[0, start:stop] *= 10 ** (gain_db / 20)
    if gain_db == -np.inf:
        verdict = gaps.finding(gaps.find_gaps(x, rate), rate)
        found = [(place.start, place.stop, np.inf) for place in verdict.places]
    else:
        every = dropouts.find_dropouts(x, rate)
        verdict = dropouts.finding(every, rate)
        found = [(one.start, one.stop, one.depth_db) for one in every]
    return verdict, [[d for a, b, d in found if max(abs(a - i), abs(b - k)) < slack] for i, k in spans]


def holed(milliseconds: float, gain_db: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        """Up to three falls of level, where the sound beside them is within 20 dB of the clip's."""
        spans = [hole[:2] for hole in holes(clip, milliseconds, random) if hole[2]]
        if not spans:
            return None
        verdict, depths = find_holes(clip.audio[:1], clip.rate, spans, gain_db)
        errors = {"share missed": float(np.mean([not d for d in depths]))}
        if gain_db > -np.inf:
            off = [abs(d[0] + gain_db) for d in depths if d]
            errors["depth, dB"] = float(np.mean(off)) if off else np.nan
        return verdict, errors

    return case


def dull(hz: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        if hz > 0.8 * float(clip.about["bandwidth_hz"]):
            return None
        x = LowPass(hz, clip.rate).forward(torch.from_numpy(clip.audio)).numpy()
        found = bandwidth.find_bandwidth(x, clip.rate)
        return bandwidth.finding(found, clip.rate), {"cut-off, relative": relative(found.cutoff_hz, hz)}

    return case


def lossy(kbit: int, is_mono: bool = False) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        """Where the sound goes on above the shelf, which is known of stereo; one channel is put in both."""
        hz = codec.MP3_HZ[kbit]
        if clip.rate != 44_100 or float(clip.about["bandwidth_hz"]) < hz + ABOVE_SHELF_HZ:
            return None
        x = 0.9 * clip.audio / np.abs(clip.audio).max()
        found = codec.find_shelf(mp3(x[:1] if is_mono else x[[0, -1]], clip.rate, kbit), clip.rate)
        verdict = codec.finding(found)
        rate = verdict.facts["like_mp3_kbit"]
        errors = {"MP3 rate wrong": float(rate != kbit) if rate else np.nan}
        return verdict, errors if is_mono else {"shelf, relative": relative(found.hz, hz), **errors}

    return case


def humming(below_db: float, drift: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        if is_known("hum", clip):
            return None
        hz = float(random.choice([50, 60])) * (1 + random.uniform(-0.004, 0.004))
        time_s = np.arange(clip.audio.shape[1]) / clip.rate
        phase = 2 * np.pi * np.cumsum(hz * (1 + drift * np.sin(2 * np.pi * 0.1 * time_s))) / clip.rate
        lines = [random.uniform(0.3, 1) / k * np.sin(k * phase + random.uniform(0, 6)) for k in range(1, 9)]
        added = np.sum(lines, axis=0)
        added *= clip.rms * 10 ** (-below_db / 20) / added.std()
        found = hum.find_hum(clip.audio + added, clip.rate)
        mean = hz * (1 + drift * float(np.sin(2 * np.pi * 0.1 * time_s).mean()))
        errors = {
            "Hz": abs(found.hz - mean),
            "level, dB": abs(found.level_db - decibel(added.std())),
            "share of lines wrong": len(set(found.lines) ^ set(range(1, 9))) / 8,
        }
        return hum.finding(found), errors if found.hz else dict.fromkeys(errors, np.nan)

    return case


def decibel(amplitude: float) -> float:
    return 20 * float(np.log10(amplitude))


def noisy(snr_db: float, power: int) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        spectrum = np.fft.rfft(random.standard_normal(clip.audio.shape))
        hz = np.arange(spectrum.shape[1]) / CLIP_S
        spectrum *= np.where(hz < 50, 0, np.maximum(hz, 50) ** (-power / 2))
        added = np.fft.irfft(spectrum, clip.audio.shape[1])
        added *= clip.rms * 10 ** (-snr_db / 20) / added.std()
        found = noise.find_noise(clip.audio + added, clip.rate)
        errors = {
            "SNR, dB": abs(found.snr_db - snr_db),
            "level, dB": abs(found.level_db - decibel(added.std())),
            "slope, dB an octave": abs(found.slope_db + power * 10 * np.log10(2)),
            "colour wrong": float(found.kind != ("white", "pink", "brown")[power]),
        }
        is_told = np.isfinite(found.snr_db)
        return noise.finding(found, None), errors if is_told else dict.fromkeys(errors, np.nan)

    return case


def spoken_over(noises: list[tuple[str, Array]], snr_db: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        """Speech over recorded noise of its own split, at 16 kHz."""
        if not clip.is_speech:
            return None
        chosen = [samples for split, samples in noises if clip.folder.startswith(split)]
        dry = resample(clip.audio, clip.rate, 16_000)
        added = np.resize(chosen[int(random.integers(len(chosen)))], dry.shape)
        noisy_speech = dry + added * clip.rms * 10 ** (-snr_db / 20) / added.std()
        found, content = find_speech_snr(noisy_speech), find_content(noisy_speech, 16_000)
        room = reverberation.find_reverberation(noisy_speech, 16_000)
        is_plain = content.speech >= SURE_VOICE and room.t60_s < reverberation.CLEAR_S
        voice = found if is_plain else None
        steady = noise.find_noise(noisy_speech, 16_000)
        return noise.finding(steady, voice), {"SNR, dB": abs(found.db - snr_db)}

    return case


def read_noises(data: Path) -> list[tuple[str, Array]]:
    """The middle 10 s of each recording of noise."""
    found: list[tuple[str, Array]] = []
    for split in ("train", "test"):
        for path in sorted((data / split / "noise").iterdir()):
            if path.suffix in (".opus", ".flac"):
                samples = soundfile.read(path)[0]
                middle = max(len(samples) // 2 - 80_000, 0)
                found.append((split, samples[middle : middle + 160_000]))
    return found


def in_room(rooms: list[tuple[str, float, Array]], longer: float, shorter: float) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        chosen = [r for r in rooms if longer <= r[1] < shorter and r[0] == clip.folder.split("/")[0]]
        if not clip.is_speech or not chosen:
            return None
        _, t60_s, response = chosen[int(random.integers(len(chosen)))]
        dry = resample(clip.audio, clip.rate, 16_000)
        wet = fftconvolve(dry, response[None], axes=1)[:, : dry.shape[1]]
        found = reverberation.find_reverberation(wet, 16_000)
        speech, snr_db = find_content(wet, 16_000).speech, find_speech_snr(wet).db
        verdict = reverberation.finding(found, speech, snr_db, is_clipped=False)
        return verdict, {"T60, relative": relative(found.t60_s, t60_s)}

    return case


def read_rooms(data: Path) -> list[tuple[str, float, Array]]:
    rooms: list[tuple[str, float, Array]] = []
    for split in ("train", "test"):
        folder = data / split / "rir"
        with (folder / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        rooms += [(split, float(row["t60_s"]), soundfile.read(folder / row["file"])[0]) for row in rows]
    return rooms


def coarse(bits: int) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result:
        step = 2.0 ** (1 - bits)
        full = clip.audio * 0.9 / np.abs(clip.audio).max()
        gain = random.uniform(0.3, 1)
        rounded = np.rint(full / step) * step
        found = quantisation.find_quantisation((rounded * gain).astype(np.float32))
        snr_db = decibel(full.std() / (rounded - full).std())
        errors = {
            "step, relative": relative(found.step, step * gain),
            "SNR it leaves, dB": abs(found.snr_db - snr_db),
        }
        return quantisation.finding(found), errors if found.step else dict.fromkeys(errors, np.nan)

    return case


def miswired(fault: str) -> Case:
    def case(clip: Clip, random: np.random.Generator) -> Result | None:
        if len(clip.audio) != 2 or is_known("channel faults", clip):
            return None
        left, right = clip.audio
        other = {"dead": 1e-4 * right, "swapped": -(0.7 * left + 0.3 * right), "identical": left}[fault]
        found = channels.find_channel_faults(np.stack([left, other]))
        return channels.finding(found), {"fault missed": float(not getattr(found, fault))}

    return case


def cases(rooms: list[tuple[str, float, Array]], noises: list[tuple[str, Array]]) -> dict[str, Case]:
    """What is done to a clip, and how its estimates are measured."""
    silent = -np.inf
    return {
        "clipped to an SDR of 3 dB": hard(3),
        "clipped to 10 dB": hard(10),
        "clipped to 20 dB": hard(20),
        "clipped to 10 dB, then gain 0.37, float32": hard(10, 0.37),
        "clipped to 10 dB, then MP3, 128 kbit/s": coded(10),
        "clipped to 20 dB, then MP3, 128 kbit/s": coded(20),
        "tanh(8 x), peak of x 1": soft(8),
        "tanh(4 x)": soft(4),
        "offset of 0.02": with_offset(0.02),
        "offset of 0.002": with_offset(0.002),
        "10 clicks, 10 dB above the RMS": clicked(10),
        "10 clicks at the RMS": clicked(0),
        "gaps of 10 ms": holed(10, silent),
        "gaps of 200 ms": holed(200, silent),
        "dropouts of 20 ms by 40 dB": holed(20, -40),
        "dropouts of 200 ms by 30 dB": holed(200, -30),
        "low-pass at 3 kHz": dull(3000),
        "low-pass at 5 kHz": dull(5000),
        "low-pass at 12 kHz": dull(12_000),
        "MP3, 96 kbit/s": lossy(96),
        "MP3, 128 kbit/s": lossy(128),
        "MP3, 192 kbit/s": lossy(192),
        "hum 10 dB below": humming(10, 0),
        "hum 20 dB below": humming(20, 0),
        "hum 10 dB below, drifting by 1 %": humming(10, 0.01),
        "white noise at 10 dB": noisy(10, 0),
        "white noise at 20 dB": noisy(20, 0),
        "pink noise at 10 dB": noisy(10, 1),
        "pink noise at 20 dB": noisy(20, 1),
        "brown noise at 10 dB": noisy(10, 2),
        "speech over recorded noise at 5 dB": spoken_over(noises, 5),
        "speech over recorded noise at 10 dB": spoken_over(noises, 10),
        "speech over recorded noise at 15 dB": spoken_over(noises, 15),
        "speech in rooms of 0.25 to 0.4 s": in_room(rooms, 0.25, 0.4),
        "speech in rooms of 0.5 to 1.2 s": in_room(rooms, 0.5, 1.2),
        "speech in rooms of 1.2 to 3 s": in_room(rooms, 1.2, 3),
        "8 bits, then a gain": coarse(8),
        "10 bits, then a gain": coarse(10),
        "a dead channel": miswired("dead"),
        "swapped polarity": miswired("swapped"),
        "twice the same channel": miswired("identical"),
        "tanh(x)": soft(1),
        "tanh(0.5 x)": soft(0.5),
        "tanh(x), then MP3, 128 kbit/s": coded_soft(1),
        "MP3, 128 kbit/s, mono": lossy(128, is_mono=True),
    }


def damage_table(all_clips: list[Clip], data: Path, beginnings: tuple[str, ...]) -> None:
    print("| damage | clips | found | error of | told | median | 90 % | mean |")
    print(f"|{' --- |' * 8}")
    for number, (name, case) in enumerate(cases(read_rooms(data), read_noises(data)).items()):
        if not name.startswith(beginnings):
            continue
        random = np.random.default_rng(number)
        chosen = [*all_clips, *renders(data)] if name.startswith("MP3") else all_clips
        results = [result for clip in chosen if (result := case(clip, random)) is not None]
        found = np.mean([finding.is_found for finding, _ in results])
        start = f"| {name} | {len(results)} | {found:.0%}"
        for what in results[0][1]:
            errors = np.array([errors[what] for _, errors in results])
            told = errors[np.isfinite(errors)]
            figures = (np.median(told), np.quantile(told, 0.9), np.mean(told)) if len(told) else ()
            row = " | ".join(f"{figure:.2g}" for figure in figures) or "– | – | –"
            print(f"{start} | {what} | {len(told) / len(errors):.0%} | {row} |", flush=True)
            start = "| | |"


def hole_table(all_clips: list[Clip]) -> None:
    """How many gaps and dropouts are missed at random places, by how loud it is there."""
    print(f"| taken away | beside it | {' | '.join(MATERIALS)} |\n|{' --- |' * (2 + len(MATERIALS))}")
    for (damage, gain_db), milliseconds in product(HOLES.items(), HOLES_MS):
        random = np.random.default_rng(0)
        put, missed = Counter[tuple[str, bool]](), Counter[tuple[str, bool]]()
        for clip in all_clips:
            there = [h for h in holes(clip, milliseconds, random) if clip.audio[0, h[0] : h[1]].any()]
            _, depths = find_holes(clip.audio[:1], clip.rate, [h[:2] for h in there], gain_db)
            for (_, _, is_loud), found in zip(there, depths, strict=True):
                put[clip.material, is_loud] += 1
                missed[clip.material, is_loud] += not found
        for is_loud, where in ((True, "within 20 dB"), (False, "softer")):
            cells = [f"{missed[m, is_loud]} of {put[m, is_loud]}" for m in MATERIALS]
            print(f"| {damage} of {milliseconds} ms | {where} | {' | '.join(cells)} |", flush=True)
    print()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--other", action="store_true", help="clips on which nothing was chosen")
    parser.add_argument("--rounded", action="store_true", help="clips of few steps")
    parser.add_argument("--cases", nargs="*", help="beginnings of names")
    arguments = parser.parse_args()
    found = list(clips(arguments.data, CLIPS, arguments.other))
    if arguments.rounded:
        rounded_table(found)
        return
    if arguments.cases is None:
        clean_table(found)
    if arguments.other:
        return
    if arguments.cases is None:
        whole_table(arguments.data)
        hole_table(found)
    damage_table(found, arguments.data, tuple(arguments.cases or [""]))


if __name__ == "__main__":
    main()
