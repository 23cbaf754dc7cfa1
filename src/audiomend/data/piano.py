"""A piano rendered from recorded notes: velocity layers, dampers, pedal, release noises.

The manifest of the sample folder has one row a file. `kind` is note, release_noise, string_resonance_release
or pedal_noise; what a noise does not need stays empty.
"""

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import soundfile
import soxr

from audiomend.data.level import RATE, Signal, faded
from audiomend.data.manifest import number, read_manifest
from audiomend.data.score import Score, sounding_end
from audiomend.errors import TrainingError

LAYER_COLUMNS = ("midi_note", "vel_lo", "vel_hi", "vel_recorded_as", "gain_hint_db", "tuning_cents")
COLUMNS = ("file", "licence", "piano", "kind", *LAYER_COLUMNS)
MAX_SHIFT = 2  # semitones that a sample may be shifted; beyond, formants and attack give it away
FIRST_UNDAMPED_KEY = 89  # the top strings of a grand piano have no damper
DAMPING_BASS, DAMPING_TREBLE = 0.2, 0.1  # time constants in seconds at keys 21 and 88
SILENT_AFTER = 12  # time constants: exp(-12) is -104 dB
RESONANCE_VELOCITY = 45  # softer notes leave no audible string resonance (Salamander's instrument file)
TUNED_KEYS = (30, 96)  # outside, the measured tuning of a sample is rough
STRETCH_TREBLE, STRETCH_BASS = (2.1, 0.55), (1.0, 0.1)  # cents an octave, and an octave cubed, from A4
FADE_SECONDS = 0.003
PEDAL_GAIN_DB = -20.0  # not documented by the sample set; chosen by ear


@dataclass(frozen=True)
class Sample:
    """One recorded note or noise; gain in dB, tuning in cents above equal temperament at A4 = 440 Hz."""

    path: Path
    key: int
    velocity_low: int
    velocity_high: int
    velocity: int
    gain_db: float
    tuning_cents: float


@dataclass(frozen=True, eq=False)
class Piano:
    """The samples of one piano. `cache` keeps what was read and shifted: some hundred MB in the end."""

    name: str
    notes: tuple[Sample, ...]
    release_noises: dict[int, Sample]
    resonances: dict[int, Sample]
    pedal_noises: tuple[Sample, ...]
    licence: str
    cache: dict[object, Signal] = field(default_factory=dict[object, Signal], repr=False)


def load_pianos(folder: Path) -> dict[str, Piano]:
    """All pianos of a sample folder, by name; none without a manifest. Audio is read when a note needs it.

    Raises TrainingError if the manifest lacks a column or holds something else than a number.
    """
    rows = read_manifest(folder, COLUMNS)
    names = sorted({row["piano"] for row in rows})
    return {name: _piano(name, folder, [row for row in rows if row["piano"] == name]) for name in names}


def _piano(name: str, folder: Path, rows: list[dict[str, str]]) -> Piano:
    def of_kind(kind: str) -> list[Sample]:
        return [_sample(folder, row) for row in rows if row["kind"] == kind]

    return Piano(
        name=name,
        notes=tuple(of_kind("note")),
        release_noises={sample.key: sample for sample in of_kind("release_noise")},
        resonances={sample.key: sample for sample in of_kind("string_resonance_release")},
        pedal_noises=tuple(of_kind("pedal_noise")),
        licence=rows[0]["licence"],
    )


def _sample(folder: Path, row: dict[str, str]) -> Sample:
    return Sample(
        path=folder / row["file"],
        key=round(number(row, "midi_note", 0)),
        velocity_low=round(number(row, "vel_lo", 1)),
        velocity_high=round(number(row, "vel_hi", 127)),
        velocity=round(number(row, "vel_recorded_as", 127)),
        gain_db=number(row, "gain_hint_db", 0.0),
        tuning_cents=number(row, "tuning_cents", 0.0),
    )


def stretch_cents(key: int) -> float:
    """Tuning of a key in cents above equal temperament: the stretch of a grand piano.

    Cubics through the tunings measured on two sampled grands: 0 at A4, -5.7 at key 33, 11 at 96; constant
    outside keys 30 to 96, where the measurements are rough.
    """
    octaves = (min(max(key, TUNED_KEYS[0]), TUNED_KEYS[1]) - 69) / 12
    linear, cubic = STRETCH_TREBLE if octaves > 0 else STRETCH_BASS
    return linear * octaves + cubic * octaves**3


def nearest_sample(piano: Piano, key: int, velocity: int) -> Sample:
    """The sample of the velocity's layer whose key is nearest.

    Raises TrainingError if it is more than 2 semitones off.
    """
    layer = [s for s in piano.notes if s.velocity_low <= velocity <= s.velocity_high]
    best = min(layer, key=lambda s: abs(s.key - key), default=None)
    if best is None or abs(best.key - key) > MAX_SHIFT:
        raise TrainingError(
            f"piano {piano.name} has no sample for key {key} at velocity {velocity}:"
            f" it must lie within {MAX_SHIFT} semitones"
        )
    return best


def strike(piano: Piano, key: int, velocity: int) -> Signal:
    """A note (T,) that is never released, at its tuned pitch and at the level of the velocity.

    Inside a layer the amplitude follows (velocity / recorded velocity)^2.
    """
    sample = nearest_sample(piano, key, velocity)
    cents = 100 * (key - sample.key)
    if TUNED_KEYS[0] <= sample.key <= TUNED_KEYS[1]:
        cents += stretch_cents(key) - sample.tuning_cents
    gain = (velocity / sample.velocity) ** 2 * 10 ** (sample.gain_db / 20)
    return np.float32(gain) * _shifted(piano, sample, cents)


def _shifted(piano: Piano, sample: Sample, cents: float) -> Signal:
    """The sample at 44.1 kHz, `cents` higher: played as if it had been recorded at a faster rate.

    Samples that begin or end away from zero would click, so both ends are faded for 3 ms.
    """
    place = (sample.path, cents)
    if place not in piano.cache:
        try:
            audio, rate = soundfile.read(sample.path, dtype="float32", always_2d=True)
        except (soundfile.LibsndfileError, OSError) as error:
            raise TrainingError(f"the piano sample {sample.path} cannot be read: {error}") from error
        note = soxr.resample(audio.mean(axis=1), rate * 2 ** (cents / 1200), RATE, "HQ")
        piano.cache[place] = faded(note, FADE_SECONDS)
    return piano.cache[place]


def damping_seconds(key: int) -> float:
    """Time constant of the damped string: 0.2 s in the bass (key 21) to 0.1 s in the treble (key 88)."""
    return float(np.interp(key, (21, 88), (DAMPING_BASS, DAMPING_TREBLE)))


def damp(note: Signal, held: float, key: int) -> Signal:
    """Let the damper fall on a note (T,) `held` seconds after its onset; cut where it is silent.

    The note given stays as it is; keys from 89 up have no damper.
    """
    start = max(0, round(held * RATE))
    if key >= FIRST_UNDAMPED_KEY or start >= len(note):
        return note
    time_constant = damping_seconds(key)
    damped = note[: start + round(SILENT_AFTER * time_constant * RATE)].copy()
    after = np.arange(len(damped) - start, dtype=np.float32)
    damped[start:] *= np.exp(-after / np.float32(time_constant * RATE))
    return damped


def render(score: Score, piano: Piano, seconds: float, generator: np.random.Generator) -> Signal:
    """Play a score: (round(seconds * 44100),). Notes outside the keys 21 to 108 of a piano are left out.

    `generator` chooses among the pedal noises only.
    """
    out = np.zeros(round(seconds * RATE), np.float32)
    ends = _restruck(score, sounding_end(score))
    for i in np.flatnonzero((score.key >= 21) & (score.key <= 108)):
        key, velocity = int(score.key[i]), int(score.velocity[i])
        held = float(ends[i] - score.onset[i])
        _add(out, damp(strike(piano, key, velocity), held, key), score.onset[i])
        if key < FIRST_UNDAMPED_KEY:
            _add_release(out, piano, key, velocity, held, ends[i])
    if piano.pedal_noises:
        for time in score.pedal.flatten():
            noise = piano.pedal_noises[int(generator.integers(len(piano.pedal_noises)))]
            _add(out, np.float32(10 ** (PEDAL_GAIN_DB / 20)) * _shifted(piano, noise, 0.0), time)
    return out


def _restruck(score: Score, ends: np.ndarray) -> np.ndarray:
    """End each note at the next stroke of its key at the latest: the hammer takes the string."""
    ends = ends.copy()
    following: dict[int, float] = {}
    for i in range(len(ends) - 1, -1, -1):
        key = int(score.key[i])
        ends[i] = max(min(ends[i], following.get(key, np.inf)), score.onset[i])
        following[key] = float(score.onset[i])
    return ends


def _add(out: Signal, note: Signal, time: float) -> None:
    """Add a note into the mix, in place, cutting what lies outside."""
    start = round(float(time) * RATE)
    first, last = max(start, 0), min(start + len(note), len(out))
    if last > first:
        out[first:last] += note[first - start : last - start]


def _add_release(out: Signal, piano: Piano, key: int, velocity: int, held: float, time: float) -> None:
    """Key-up: the damper's noise falls 2 dB, the strings' resonance 6 (bass) to 9 dB a second of key time."""
    if noise := _closest(piano.release_noises, key):
        gain = 10 ** ((noise.gain_db - 2 * held) / 20)
        _add(out, np.float32(gain) * _shifted(piano, noise, 0.0), time)
    if velocity >= RESONANCE_VELOCITY and (resonance := _closest(piano.resonances, key)):
        fall = float(np.interp(key, (21, 88), (6.0, 9.0)))
        gain = 10 ** ((resonance.gain_db - fall * held) / 20)
        _add(out, np.float32(gain) * _shifted(piano, resonance, 100.0 * (key - resonance.key)), time)


def _closest(samples: dict[int, Sample], key: int) -> Sample | None:
    best = min(samples, key=lambda other: abs(other - key), default=None)
    return samples[best] if best is not None and abs(best - key) <= MAX_SHIFT else None
