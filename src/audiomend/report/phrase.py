"""A short phrase of music, made from formulas: nothing that a model was trained on sounds like it."""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Signal = NDArray[np.floating]

RATE = 44_100
SECONDS = 5.0
EIGHTH = 0.27  # seconds
PEAK = 0.5  # room above it for what mending may add

# MIDI numbers; four chords of four eighths each: D add9, B minor 7, G major 7, A sus4.
CHORDS = ((50, 57, 62, 64), (47, 54, 57, 62), (43, 50, 54, 59), (45, 52, 57, 62))
MELODY = ((0, 78), (3, 76), (4, 74), (7, 78), (8, 83), (11, 81), (12, 76), (14, 74))  # (eighth, note)

HIGHEST_HZ = 18_000.0  # no partial above it
AUDIBLE_DECAYS = 10.0  # after so many times its decay a partial is 87 dB down
PLUCKED_AT = 1 / 7  # of the string's length: partials 7, 14, ... are missing
STIFFNESS = 8e-5  # stretches the partials, f_k = k f sqrt(1 + B k²)
BELL_RATIOS = (0.5, 1.0, 1.19, 1.5, 2.0, 2.67, 3.01, 4.1, 5.43, 6.8, 8.2)  # a church bell's, roughly


def synthesise(seed: int = 0) -> tuple[Signal, int]:
    """The phrase: plucked strings, bells, a soft FM pad and brushed noise in a small room.

    The seed changes phases, accents, places and the noise, not the notes.

    Returns:
        (2, time) float64 with a peak of 0.5, and the rate of 44100 Hz.
    """
    random = np.random.default_rng(seed)
    mix = np.zeros((2, round(SECONDS * RATE)))
    for step in range(4 * len(CHORDS)):
        chord = CHORDS[step // 4]
        note = chord[(0, 2, 3, 1)[step % 4]] + 12 * (step % 4 != 0)
        _add(mix, 0.30 * _accent(random) * plucked(_hertz(note), 1.6, random), step, random)
    for step, note in MELODY:
        _add(mix, 0.09 * _accent(random) * bell(_hertz(note), 1.8, random), step, random)
    for bar, chord in enumerate(CHORDS):
        for note in chord:
            _add(mix, 0.02 * pad(_hertz(note + 12), 6 * EIGHTH, random), 4 * bar, random, width=0.9)
    for step in range(1, 4 * len(CHORDS), 2):
        _add(mix, 0.16 * _accent(random) * brush(0.22, random), step, random, width=0.2)
    wet = mix + 0.18 * reverberation(mix, random)
    fade = np.clip((SECONDS - np.arange(wet.shape[1]) / RATE) / 0.3, 0, 1)
    return wet * fade * PEAK / np.abs(wet * fade).max(), RATE


def plucked(hz: float, seconds: float, random: Generator) -> Signal:
    """A stiff string plucked at a seventh of its length: partials sin(pi k / 7) / k, higher ones shorter."""
    k = np.arange(1, int(HIGHEST_HZ / hz) + 1)
    frequencies = k * hz * np.sqrt(1 + STIFFNESS * k**2)
    return partials(frequencies, np.sin(np.pi * k * PLUCKED_AT) / k, 0.55 / (1 + 0.2 * k), seconds, random)


def bell(hz: float, seconds: float, random: Generator) -> Signal:
    """A bell: partials in a bell's ratios, the higher the weaker and shorter."""
    ratios = np.array(BELL_RATIOS)
    return partials(ratios * hz, 1 / (1 + ratios), 0.6 / ratios**0.9, seconds, random)


def partials(
    frequencies: Signal, amplitudes: Signal, decays: Signal, seconds: float, random: Generator
) -> Signal:
    """Sum of decaying sines at random phases; `decays` are the seconds in which each falls by 1/e."""
    time = np.arange(round(seconds * RATE)) / RATE
    total = np.zeros_like(time)
    for frequency, amplitude, decay in zip(frequencies, amplitudes, decays, strict=True):
        if frequency < HIGHEST_HZ:
            heard = time[: round(AUDIBLE_DECAYS * decay * RATE)]
            phase = random.uniform(0, 2 * np.pi)
            sine = np.sin(2 * np.pi * frequency * heard + phase)
            total[: len(heard)] += amplitude * np.exp(-heard / decay) * sine
    return total * np.minimum(1, time / 0.002)  # a hard start would click


def pad(hz: float, seconds: float, random: Generator) -> Signal:
    """Frequency modulation, carrier and modulator at one pitch but for a slow beat, swelling and fading."""
    time = np.arange(round(seconds * RATE)) / RATE
    swell = np.sin(np.pi * time / seconds) ** 1.5
    phase = random.uniform(0, 2 * np.pi)
    modulator = 1.6 * swell * np.sin(2 * np.pi * (hz + 0.4) * time + phase)
    return swell * np.sin(2 * np.pi * hz * time + modulator)


def brush(seconds: float, random: Generator) -> Signal:
    """A brush on a drum: noise with its middle at 7 kHz that rises in 30 ms and dies away."""
    time = np.arange(round(seconds * RATE)) / RATE
    noise = np.fft.rfft(random.standard_normal(len(time)))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(len(time), 1 / RATE), 1) / 7_000)
    envelope = np.minimum(1, time / 0.03) * np.exp(-time / 0.05)
    return np.fft.irfft(noise * np.exp(-(octaves**2)), len(time)) * envelope


def reverberation(dry: Signal, random: Generator, seconds: float = 0.5) -> Signal:
    """The sound of a small room, (2, time): each channel under decaying noise of its own, of energy 1."""
    time = np.arange(round(seconds * RATE)) / RATE
    response = random.standard_normal((2, len(time))) * np.exp(-time / (seconds / 5))
    response /= np.sqrt(np.square(response).sum(axis=1, keepdims=True))
    size = dry.shape[1] + len(time)
    return np.fft.irfft(np.fft.rfft(dry, size) * np.fft.rfft(response, size), size)[:, : dry.shape[1]]


def _add(mix: Signal, sound: Signal, step: int, random: Generator, width: float = 0.6) -> None:
    """Adds a mono sound near an eighth, a few milliseconds early or late, somewhere between the speakers."""
    start = round((step * EIGHTH + 0.05 + random.uniform(-0.006, 0.006)) * RATE)
    angle = np.pi / 4 * (1 + width * random.uniform(-1, 1))  # equal power wherever it stands
    part = sound[: mix.shape[1] - start]
    mix[:, start : start + len(part)] += np.array([[np.cos(angle)], [np.sin(angle)]]) * part


def _accent(random: Generator) -> float:
    return random.uniform(0.6, 1.0)


def _hertz(note: int) -> float:
    """A MIDI number in equal temperament, A4 = 69 = 440 Hz."""
    return 440 * 2 ** ((note - 69) / 12)
