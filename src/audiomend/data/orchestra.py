"""Other instruments: a piano score re-orchestrated at random and played by FluidSynth from a soundfont."""

import shutil
import subprocess
import tempfile
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import soundfile

from audiomend.data.level import RATE, Signal
from audiomend.data.midi import write_midi
from audiomend.data.score import Score, select

SOUNDFONT = Path("/usr/share/sounds/sf2/FluidR3_GM.sf2")  # where Debian's fluid-soundfont-gm puts it
SOUNDFONT_LICENCE = "MIT (FluidR3 GM soundfont)"
RENDER_TIMEOUT = 3600  # seconds for work of one or two; a machine busy with training can stretch it a lot
DRUM_CHANNEL = 9
PERCENT_WITH_DRUMS = 30

# General MIDI programs (from 0) with the keys at which the instrument sounds natural. Pianos are the piano
# renderer's own work; sound effects (120 to 127) and most synthetic pads are left out.
INSTRUMENTS: tuple[tuple[tuple[int, ...], int, int], ...] = (
    ((4, 5, 6, 7), 36, 96),  # electric pianos, harpsichord, clavinet
    ((8, 9, 10, 11, 12, 13, 14), 48, 96),  # celesta, music box, vibraphone, marimba, bells
    ((16, 17, 18, 19, 20, 21, 22, 23), 36, 96),  # organs, accordion, harmonica
    ((24, 25, 26, 27, 28), 40, 84),  # guitars
    ((29, 30), 40, 76),  # driven guitars
    ((32, 33, 34, 35, 36, 37), 28, 60),  # basses
    ((40, 41), 55, 96),  # violin, viola
    ((42, 43), 30, 69),  # cello, double bass
    ((44, 45, 48, 49, 50, 51), 36, 91),  # string ensembles, pizzicato
    ((46,), 30, 100),  # harp
    ((47,), 36, 57),  # timpani
    ((52, 53, 54), 43, 84),  # choir, voice
    ((56, 59, 60), 48, 84),  # trumpets, horn
    ((57, 58), 30, 65),  # trombone, tuba
    ((61, 62, 63), 40, 84),  # brass sections
    ((64, 65, 66, 67), 42, 80),  # saxophones
    ((68, 69, 70, 71), 45, 88),  # oboe, English horn, bassoon, clarinet
    ((72, 73, 74, 75, 76, 77, 78, 79), 60, 96),  # flutes, whistle, ocarina
    ((80, 81, 87), 36, 88),  # synthetic leads
    ((88, 89, 90, 91, 94, 95), 36, 88),  # synthetic pads
    ((104, 105, 106, 107, 108), 43, 84),  # sitar, banjo, shamisen, koto, kalimba
    ((109, 110, 111), 48, 84),  # bagpipe, fiddle, shanai
    ((112, 114), 55, 90),  # bells, steel drums
)

# Drum patterns over eight half beats: General MIDI drum keys and the steps at which they sound.
DRUM_PATTERNS: tuple[dict[int, tuple[int, ...]], ...] = (
    {36: (0, 4), 38: (2, 6), 42: (0, 1, 2, 3, 4, 5, 6, 7)},
    {36: (0, 3, 4), 38: (2, 6), 46: (1, 5), 42: (0, 2, 3, 4, 6, 7)},
    {36: (0, 2, 4, 6), 39: (2, 6), 42: (1, 3, 5, 7)},
    {35: (0, 5), 40: (4,), 51: (0, 2, 3, 4, 6, 7)},
    {41: (0, 3), 45: (4, 6), 48: (7,), 70: (0, 1, 2, 3, 4, 5, 6, 7)},
    {64: (0, 6), 63: (2, 3), 62: (5, 7), 75: (0, 3, 6)},
)


@dataclass(frozen=True)
class Synth:
    """The program and the soundfont that it plays."""

    program: str
    soundfont: Path


def find_synth(soundfont: Path = SOUNDFONT) -> Synth | str:
    """FluidSynth and its soundfont, or one sentence that says what is missing."""
    program = shutil.which("fluidsynth")
    if program is None:
        return "The program fluidsynth is not installed, so there are no rendered instruments but the piano."
    if not soundfont.is_file():
        return f"The soundfont {soundfont} is missing, so there are no rendered instruments but the piano."
    return Synth(program, soundfont)


def orchestrate(score: Score, generator: np.random.Generator) -> list[tuple[int, int, Score]]:
    """Parts (channel, program, score) for `write_midi`.

    One to four instruments share the notes by register (quantiles of the keys) or by track, each moved by
    octaves into its range after a transposition of -6 to 6 semitones. In 30 % of the scores drums play along
    on the beats.
    """
    moved = transposed(score, int(generator.integers(-6, 7)))
    groups = _groups(moved, int(generator.integers(1, 5)), generator)
    parts = [(channel, *_cast(group, generator)) for channel, group in enumerate(groups)]
    if generator.integers(100) < PERCENT_WITH_DRUMS and len(moved.beats) > 1:
        parts.append((DRUM_CHANNEL, int(generator.choice([0, 8, 16, 32, 40])), drums(moved, generator)))
    return parts


def stretched(score: Score, factor: float) -> Score:
    """All times multiplied by `factor`."""
    return replace(
        score,
        onset=score.onset * factor,
        release=score.release * factor,
        pedal=score.pedal * factor,
        beats=score.beats * factor,
    )


def transposed(score: Score, semitones: int) -> Score:
    """All keys moved; keys outside 0 to 127 come back by octaves."""
    return replace(score, key=folded(score.key + semitones, 0, 127))


def folded(key: np.ndarray, low: int, high: int) -> np.ndarray:
    """Keys (N,) moved by octaves into [low, high], a span of at least 11 semitones."""
    raised = key + 12 * np.maximum(0, -(-(low - key) // 12))
    return raised - 12 * np.maximum(0, -(-(raised - high) // 12))


def _groups(score: Score, count: int, generator: np.random.Generator) -> list[Score]:
    if generator.random() < 0.3 and len(np.unique(score.track)) > 1:
        label = score.track % count
    else:
        edges = np.quantile(score.key, np.linspace(0, 1, count + 1)[1:-1]) if len(score.key) else []
        label = np.searchsorted(np.asarray(edges), score.key, side="right")
    groups = [select(score, label == i) for i in range(count)]
    return [group for group in groups if len(group.onset)]


def _cast(group: Score, generator: np.random.Generator) -> tuple[int, Score]:
    """An instrument whose range holds at least the middle of the group, and the group within its range."""
    middle = float(np.median(group.key))
    fitting = [entry for entry in INSTRUMENTS if entry[1] <= middle <= entry[2]] or list(INSTRUMENTS)
    programs, low, high = fitting[int(generator.integers(len(fitting)))]
    pedal = group.pedal if generator.random() < 0.5 else group.pedal[:0]
    return int(generator.choice(programs)), replace(group, key=folded(group.key, low, high), pedal=pedal)


def drums(score: Score, generator: np.random.Generator) -> Score:
    """A drum part on the beats and half beats of a score, from a random pattern with uneven velocities."""
    pattern = DRUM_PATTERNS[int(generator.integers(len(DRUM_PATTERNS)))]
    steps = np.interp(np.arange(0, len(score.beats) - 0.5, 0.5), np.arange(len(score.beats)), score.beats)
    loudness = int(generator.integers(60, 110))
    hits = [(step, key) for step in range(len(steps)) for key in pattern if step % 8 in pattern[key]]
    onset = steps[[step for step, _ in hits]]
    return Score(
        onset=onset,
        release=onset + 0.1,
        key=np.array([key for _, key in hits], np.int64),
        velocity=np.clip(loudness + generator.integers(-15, 16, len(hits)), 1, 127),
        track=np.zeros(len(hits), np.int64),
        pedal=np.zeros((0, 2)),
        beats=score.beats,
    )


def play(synth: Synth, parts: list[tuple[int, int, Score]], reverb: bool, chorus: bool) -> Signal:
    """Render parts to mono 44.1 kHz (T,), floating point so that loud scores do not clip.

    Raises OSError or subprocess.SubprocessError if the program fails.
    """
    with tempfile.TemporaryDirectory() as folder:
        midi, wave = Path(folder) / "score.mid", Path(folder) / "score.wav"
        write_midi(midi, parts)
        command = [synth.program, "-ni", "-g", "0.3", "-R", str(int(reverb)), "-C", str(int(chorus))]
        command += ["-r", str(RATE), "-T", "wav", "-O", "float", "-F", str(wave)]
        command += [str(synth.soundfont), str(midi)]
        subprocess.run(command, check=True, capture_output=True, timeout=RENDER_TIMEOUT)
        audio, _ = soundfile.read(wave, dtype="float32", always_2d=True)
    return audio.mean(axis=1)
