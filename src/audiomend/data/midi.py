"""Scores as standard MIDI files."""

from pathlib import Path
from typing import Any

import mido
import numpy as np

from audiomend.data.score import Floats, Score
from audiomend.errors import TrainingError

SUSTAIN = 64  # MIDI controller number of the sustain pedal
PEDAL_DOWN = 64  # controller values from here on hold the dampers
DEFAULT_TEMPO = 500_000  # microseconds a beat where a file states none: 120 beats a minute
MAX_BEATS = 100_000  # about 14 hours; a damaged file can claim billions
TICKS_PER_BEAT = 960  # of the files written here, at the default tempo
TICKS_PER_SECOND = 1920

Event = tuple[int, int, Any]  # absolute tick, track, mido message (whose attributes depend on its type)


def read_midi(path: Path) -> Score:
    """Read a standard MIDI file of type 0 or 1, with its tempo map.

    Raises TrainingError if it is none, is endless, or counts time in film frames instead of beats.
    """
    try:
        file = mido.MidiFile(path)
    except (OSError, EOFError, ValueError, LookupError, TypeError) as error:
        raise TrainingError(f"{path} is no readable MIDI file: {error}") from error
    if file.ticks_per_beat <= 0:
        raise TrainingError(f"{path} has {file.ticks_per_beat} ticks a beat; it needs 1 or more")
    events = [
        (int(tick), track, message)
        for track, messages in enumerate(file.tracks)
        for tick, message in zip(np.cumsum([m.time for m in messages]), messages, strict=True)
    ]
    events.sort(key=lambda event: event[0])
    changes = [(tick, m.tempo) for tick, _, m in events if m.type == "set_tempo"]
    last = events[-1][0] if events else 0
    if last > MAX_BEATS * file.ticks_per_beat:
        raise TrainingError(f"{path} is {last // file.ticks_per_beat} beats long; {MAX_BEATS} are allowed")
    ticks, seconds = _tempo_map(changes, last + file.ticks_per_beat, file.ticks_per_beat)
    notes = _notes(events, last)
    columns = np.array(notes, np.float64).reshape(-1, 5)
    columns = columns[np.argsort(columns[:, 0], kind="stable")]
    return Score(
        onset=np.interp(columns[:, 0], ticks, seconds),
        release=np.interp(columns[:, 1], ticks, seconds),
        key=columns[:, 2].astype(np.int64),
        velocity=columns[:, 3].astype(np.int64),
        track=columns[:, 4].astype(np.int64),
        pedal=np.interp(_pedal_spans(events, last), ticks, seconds).reshape(-1, 2),
        beats=np.interp(np.arange(0, last + 1, file.ticks_per_beat), ticks, seconds),
    )


def _tempo_map(changes: list[tuple[int, int]], last: int, ticks_per_beat: int) -> tuple[Floats, Floats]:
    """Corner points (ticks, seconds) of the piecewise linear map from ticks to seconds."""
    ticks, seconds, tempo = [0.0], [0.0], DEFAULT_TEMPO
    for tick, next_tempo in [*changes, (last, 0)]:
        seconds.append(seconds[-1] + (tick - ticks[-1]) * tempo * 1e-6 / ticks_per_beat)
        ticks.append(tick)
        tempo = next_tempo
    return np.array(ticks), np.array(seconds)


def _notes(events: list[Event], last: int) -> list[tuple[int, int, int, int, int]]:
    """(on tick, off tick, key, velocity, track); a key struck twice is released by the second stroke."""
    notes: list[tuple[int, int, int, int, int]] = []
    held: dict[tuple[int, int, int], tuple[int, int]] = {}

    def let_go(place: tuple[int, int, int], tick: int) -> None:
        if place in held:
            on, velocity = held.pop(place)
            if tick > on:
                notes.append((on, tick, place[2], velocity, place[0]))

    for tick, track, message in events:
        if message.type not in ("note_on", "note_off"):
            continue
        place = (track, message.channel, message.note)
        let_go(place, tick)
        if message.type == "note_on" and message.velocity > 0:
            held[place] = (tick, message.velocity)
    for place in list(held):
        let_go(place, last)
    return notes


def _pedal_spans(events: list[Event], last: int) -> Floats:
    """Spans (P, 2) in ticks in which any channel holds the sustain pedal: a piano has only one."""
    spans: list[tuple[int, int]] = []
    down: set[int] = set()
    since = 0
    for tick, _, message in events:
        if message.type != "control_change" or message.control != SUSTAIN:
            continue
        before = len(down)
        if message.value >= PEDAL_DOWN:
            down.add(message.channel)
        else:
            down.discard(message.channel)
        if not before and down:
            since = tick
        if before and not down and tick > since:
            spans.append((since, tick))
    if down and last > since:
        spans.append((since, last))
    return np.array(spans, np.float64).reshape(-1, 2)


def write_midi(path: Path, parts: list[tuple[int, int, Score]]) -> None:
    """Write parts as a MIDI file of type 1, one track each, at a fixed tempo.

    parts: (channel 0 to 15, General MIDI program 0 to 127, score). Channel 9 is drums.
    """
    file = mido.MidiFile(ticks_per_beat=TICKS_PER_BEAT)
    for channel, program, score in parts:
        events = [(0, mido.Message("program_change", channel=channel, program=program))]
        for on, off, key, velocity in zip(
            score.onset, score.release, score.key.tolist(), score.velocity.tolist(), strict=True
        ):
            down = mido.Message("note_on", channel=channel, note=key, velocity=velocity)
            up = mido.Message("note_on", channel=channel, note=key, velocity=0)
            events += [(_tick(on), down), (_tick(off), up)]
        for low, high in score.pedal:
            events += [
                (_tick(time), mido.Message("control_change", channel=channel, control=SUSTAIN, value=value))
                for time, value in ((low, 127), (high, 0))
            ]
        file.tracks.append(_track(events))
    file.save(path)


def _tick(seconds: float) -> int:
    return max(0, round(seconds * TICKS_PER_SECOND))


def _track(events: list[tuple[int, Any]]) -> mido.MidiTrack:
    """Events at absolute ticks as a track of deltas; key-ups stand before key-downs of the same tick."""
    track = mido.MidiTrack()
    now = 0
    for tick, message in sorted(events, key=lambda e: (e[0], getattr(e[1], "velocity", 0) > 0)):
        track.append(message.copy(time=tick - now))
        now = tick
    return track
