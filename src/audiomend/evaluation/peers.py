"""Other programs, run by their command line on files, as a user would run them."""

import json
import os
import shlex
import signal
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile

from audiomend.errors import UsageError
from audiomend.evaluation.damages import Clip
from audiomend.evaluation.worker import Cost, mib_of

MAX_DELAY_S = 0.25
DELAY_GAIN = 1.01  # a delay must raise the correlation by a hundredth, or none is assumed,
COHERENT_SHARE = 0.05  # and this share of the spectrum must agree on it


class PeerError(Exception):
    """The program is missing, failed, was too slow, or gave something that cannot be compared."""


@dataclass(frozen=True)
class Peer:
    """Another program: a label, and its arguments, in which {input} and {output} stand for WAV files."""

    label: str
    arguments: tuple[str, ...]


@dataclass(frozen=True)
class Alignment:
    """What was undone before an output could be compared, in samples.

    Attributes:
        delay: the output came this much late.
        excess: the output was this much longer than the input.
    """

    delay: int
    excess: int


def parse_peer(text: str) -> Peer:
    """Reads "label=command", quotes as in a shell: "ffmpeg=ffmpeg -i {input} -af adeclip=m=s {output}"."""
    label, _, command = text.partition("=")
    arguments = tuple(shlex.split(command))
    if not label.strip() or not all(any(mark in a for a in arguments) for mark in ("{input}", "{output}")):
        raise UsageError(f"{text!r} is not a peer; write label=command with {{input}} and {{output}} in it.")
    return Peer(label.strip(), arguments)


def run_peer(peer: Peer, observation: Clip, rate: int, timeout_s: float) -> tuple[Clip, Cost, Alignment]:
    """Writes the clip (channels, time) as 32-bit float WAV, runs the program, reads what it wrote.

    No shell is involved. The time is that of the whole process, files included. A constant delay and another
    length are undone (`align`).

    Raises:
        PeerError: with what went wrong.
    """
    with tempfile.TemporaryDirectory() as folder:
        source, target = f"{folder}/input.wav", f"{folder}/output.wav"
        soundfile.write(source, observation.T, rate, subtype="FLOAT")
        arguments = [a.replace("{input}", source).replace("{output}", target) for a in peer.arguments]
        cost = _run(arguments, timeout_s, Path(folder, "messages"))
        try:
            output, output_rate = soundfile.read(target, dtype="float32", always_2d=True)
        except (OSError, soundfile.LibsndfileError) as error:
            raise PeerError(f"{arguments[0]} left no readable output: {error}") from error
    if output_rate != rate or output.shape[1] != len(observation):
        raise PeerError(
            f"the output has {output.shape[1]} channels at {output_rate} Hz, "
            f"the input {len(observation)} at {rate} Hz"
        )
    aligned, alignment = align(observation, np.ascontiguousarray(output.T, dtype=np.float32), rate)
    return aligned, cost, alignment


def align(observation: Clip, output: Clip, rate: int) -> tuple[Clip, Alignment]:
    """Undoes a constant delay and another length; what is then missing at an end is zero.

    The delay is where the whitened cross-correlation of the channels' sums (the phase transform of Knapp and
    Carter, IEEE Trans. ASSP 24(4), 1976) is largest, within 0.25 s; it is constant if the first and the last
    half agree on it.

    Raises:
        PeerError: the halves disagree, so that no shift of the whole makes the signals comparable.
    """
    samples = observation.shape[1]
    excess = output.shape[1] - samples
    delay = _delay(observation, output, rate)
    aligned = np.zeros_like(observation)
    first, last = max(0, -delay), min(samples, output.shape[1] - delay)
    if last > first:
        aligned[:, first:last] = output[:, first + delay : last + delay]
    half = samples // 2
    early = _delay(observation[:, :half], aligned[:, :half], rate)
    late = _delay(observation[:, half:], aligned[:, half:], rate)
    if early or late:
        raise PeerError(f"its delay is not constant: {delay + early} samples, later {delay + late}")
    return aligned, Alignment(delay, excess)


def _run(arguments: list[str], timeout_s: float, messages: Path) -> Cost:
    launcher = [sys.executable, "-I", "-S", str(Path(__file__).with_name("launch.py")), str(messages)]
    process = subprocess.Popen(
        [*launcher, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, start_new_session=True
    )
    try:
        printed, _ = process.communicate(timeout=timeout_s)
    except subprocess.TimeoutExpired:
        raise PeerError(f"{arguments[0]} was stopped after {timeout_s:g} s") from None
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)  # the launcher and its program, if time is up
        process.communicate()
    if not printed:
        raise PeerError(f"{arguments[0]} was killed with its launcher")
    took = json.loads(printed)
    if "error" in took:
        raise PeerError(f"{arguments[0]} cannot be started: {took['error']}")
    if took["code"]:
        last_words = messages.read_bytes().decode(errors="replace").strip().splitlines()[-1:]
        raise PeerError(": ".join([f"{arguments[0]} ended with code {took['code']}", *last_words]))
    return Cost(took["wall_s"], took["cpu_s"], mib_of(took["max_rss"]))


def _delay(observation: Clip, output: Clip, rate: int) -> int:
    """Samples by which the output lags; 0 unless another delay clearly fits better."""
    a, b = (x.astype(np.float64).sum(axis=0) for x in (observation, output))
    size = 2 ** int(np.ceil(np.log2(len(a) + len(b))))
    cross = np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size))
    magnitude = np.abs(cross)
    phase = np.divide(cross, magnitude, out=np.zeros_like(cross), where=magnitude > 0)
    correlation = np.fft.irfft(phase, n=size)  # 1 if all frequencies agree on one lag
    limit = min(round(MAX_DELAY_S * rate), size // 2 - 1)
    lags = np.arange(-limit, limit + 1)
    best = int(lags[np.argmax(correlation[lags])])
    return best if correlation[best] > max(DELAY_GAIN * correlation[0], COHERENT_SHARE) else 0
