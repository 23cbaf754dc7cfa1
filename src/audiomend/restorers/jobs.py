"""Work that was found, by kind: for the prior, for a classical method, and for several of them."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.audio.reader import SoundReader
from audiomend.errors import UsageError
from audiomend.models.prior import Prior
from audiomend.restorers.classical import Part, foretold, restored
from audiomend.restorers.damage import Damage, Located
from audiomend.restorers.diffusion import Preview, Stretch, mend, seconds_per_evaluation, windows_for
from audiomend.restorers.filling import Guess
from audiomend.restorers.guiding import GUIDANCE
from audiomend.restorers.memory import read_padded
from audiomend.restorers.methods import Method
from audiomend.restorers.options import Options
from audiomend.restorers.regions import region_fade
from audiomend.restorers.way import DIFFERENTIATED, WITHOUT_SOLVER, Way

Array = NDArray[Any]

Pieces = Iterator[tuple[int, Array]]
"""(position, (channels, n)) of a mended signal at the file's level, in order of position."""

JOB_AMOUNT = 1000  # of each of several jobs: their own units differ


class Sink(Protocol):
    """Where mended samples go: an array, or a file's spill."""

    def add(self, start: int, samples: Array, changed: Array) -> None: ...


class Job(Protocol):
    """Work that was found and can be estimated before it is done."""

    @property
    def source(self) -> SoundReader: ...

    @property
    def damage(self) -> Located: ...

    @property
    def options(self) -> Options: ...

    @property
    def method(self) -> str:
        """Its name."""
        ...

    @property
    def settings(self) -> str:
        """Those of the method, in words."""
        ...

    @property
    def model(self) -> str:
        """Name of the prior; empty where none is needed, like the next two."""
        ...

    @property
    def precision(self) -> str: ...

    @property
    def started_from(self) -> str:
        """What noise was added to, in words."""
        ...

    @property
    def steps(self) -> int:
        """Evaluations of the prior for every window, 0 without one."""
        ...

    @property
    def seconds(self) -> float:
        """Length of what has to be worked on."""
        ...

    @property
    def estimate_seconds(self) -> float:
        """How long the work will take; 0 where it is not known."""
        ...

    @property
    def amount(self) -> int:
        """How much is to be done, in the unit that `pieces` tells its progress in."""
        ...

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        """Do it; only lost samples of what comes are to be used.

        preview: told of estimates on the way, where there are any.
        """
        ...


@dataclass(frozen=True, eq=False)
class WalkJob:
    """Work for a diffusion prior.

    Attributes:
        source, damage, gain: what is mended.
        options, prior, way: how.
        blend: mixes what was walked with a guess; None leaves it.
        work: the stretches with damage.
        evaluations: network inputs to be evaluated, one per window, channel and step.
    """

    source: SoundReader
    damage: Damage
    gain: float
    options: Options
    prior: Prior
    way: Way
    work: Sequence[Stretch]
    evaluations: int
    method: str = "diffusion"
    blend: Guess | None = None

    @property
    def settings(self) -> str:
        by = self.way.sampler if self.way.sampler in WITHOUT_SOLVER else self.way.solver
        walk = f"{by}, {self.way.guidance}"
        return walk if self.blend is None else self.blend.words(walk, self.way.start)

    @property
    def model(self) -> str:
        return self.prior.card.name

    @property
    def precision(self) -> str:
        return self.prior.precision

    @property
    def started_from(self) -> str:
        return self.damage.guess if self.way.warm else "noise alone"

    @property
    def steps(self) -> int:
        return self.way.evaluations

    @property
    def amount(self) -> int:
        return self.evaluations

    @property
    def seconds(self) -> float:
        windows = windows_for(self.prior, self.source.rate)
        return sum((s.last - s.first + 1) * windows.hop for s in self.work) / self.source.rate

    @property
    def estimate_seconds(self) -> float:
        gradient = GUIDANCE[self.way.guidance].gradient or self.way.sampler in DIFFERENTIATED
        return self.evaluations * seconds_per_evaluation(self.prior, gradient)

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        if preview is not None and self.way.sampler in WITHOUT_SOLVER:
            raise UsageError(f"The sampler {self.way.sampler} walks without a solver, so it has no previews.")
        source, damage, seed = self.source, self.damage, self.options.seed
        walked = mend(source, damage, self.work, self.prior, self.way, self.gain, seed, done, preview)
        return walked if self.blend is None else self._blended(walked, self.blend)

    def apart(self) -> "list[tuple[int, WalkJob]]":
        """A job for each stretch, with the position from which it has pieces."""
        windows = windows_for(self.prior, self.source.rate)
        return [(s.first * windows.hop - windows.overlap, replace(self, work=[s])) for s in self.work]

    def _blended(self, pieces: Pieces, blend: Guess) -> Pieces:
        def damaged(start: int, stop: int) -> Tensor:
            samples = read_padded(self.source, start, stop)
            return torch.from_numpy(samples.astype(np.float32) * np.float32(self.gain))

        for start, samples in pieces:
            mixed = blend.blended(damaged, torch.from_numpy(samples * self.gain), start)
            yield start, mixed.numpy() / self.gain


@dataclass(frozen=True, eq=False)
class ClassicalJob:
    """Work for a method that needs no prior.

    Attributes:
        source, damage, gain: what is mended.
        options, method, by: how; the method's name and itself.
        work: the parts with damage.
    """

    source: SoundReader
    damage: Damage
    gain: float
    options: Options
    method: str
    by: Method
    work: Sequence[Part]
    model: str = ""
    precision: str = ""
    started_from: str = ""
    steps: int = 0

    @property
    def estimate_seconds(self) -> float:
        return foretold(self.source, self.damage, self.by, self.gain, self.work)

    @property
    def settings(self) -> str:
        return self.by.words(self.source.rate, self.damage.severity)

    @property
    def seconds(self) -> float:
        return sum(part.stop - part.start for part in self.work) / self.source.rate

    @property
    def amount(self) -> int:
        return sum(part.size for part in self.work)

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        del preview  # there is nothing on the way
        return restored(self.source, self.damage, self.by, self.gain, self.work, done)

    def apart(self) -> "list[tuple[int, ClassicalJob]]":
        """A job for each part, with the position from which it has pieces."""
        return [(part.start, replace(self, work=[part])) for part in self.work]


@dataclass(frozen=True, eq=False)
class Jobs:
    """Work for several methods, each on stretches of its own.

    Attributes:
        source, damage, options: what is mended, all of it.
        each: the jobs.
        method: what does what, in words.
        settings: those of each, and where.
    """

    source: SoundReader
    damage: Located
    options: Options
    each: Sequence[WalkJob | ClassicalJob]
    method: str
    settings: str

    @property
    def model(self) -> str:
        return next((job.model for job in self.each if job.model), "")

    @property
    def precision(self) -> str:
        return next((job.precision for job in self.each if job.precision), "")

    @property
    def started_from(self) -> str:
        return "; ".join(dict.fromkeys(job.started_from for job in self.each if job.started_from))

    @property
    def steps(self) -> int:
        return max(job.steps for job in self.each)

    @property
    def seconds(self) -> float:
        return sum(job.seconds for job in self.each)

    @property
    def estimate_seconds(self) -> float:
        return sum(job.estimate_seconds for job in self.each)

    @property
    def amount(self) -> int:
        return JOB_AMOUNT * len(self.each)

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        del preview  # each has its own

        def scaled(job: Job) -> Callable[[int], None]:
            so_far = 0

            def told(count: int) -> None:
                nonlocal so_far
                before = JOB_AMOUNT * so_far // max(job.amount, 1)
                so_far += count
                done(JOB_AMOUNT * so_far // max(job.amount, 1) - before)

            return told

        own: list[Pieces] = []
        for job in self.each:
            told = scaled(job)
            own += [_from(start, _own(job, one.pieces(told, None))) for start, one in job.apart()]
        merged = merge(*own, key=lambda piece: piece[0])
        return (piece for piece in merged if piece[1].shape[1])


def _from(start: int, pieces: Pieces) -> Pieces:
    """The pieces, after an empty one at `start`: until their turn comes nothing of them is in memory."""
    yield start, np.zeros((0, 0))
    yield from pieces


def _own(job: Job, pieces: Pieces) -> Pieces:
    """The pieces cut to the stretches in which the job mends something."""
    for start, samples in pieces:
        lost = job.damage.lost(start, samples).any(axis=0)
        edges = np.flatnonzero(np.diff(lost, prepend=False, append=False))
        for first, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
            yield start + first, samples[:, first:end]


def place(job: Job, sink: Sink, start: int, mended: Array) -> None:
    """Give the sink the share of the change that is wanted, of the lost samples alone."""
    before = job.source.read(start, start + mended.shape[1])
    mended = job.damage.settle(before, mended)
    weight = np.full(mended.shape[1], job.options.strength)
    if job.options.regions and job.damage.verb == "extend":  # the others change what is lost anyway
        weight *= region_fade(job.options.regions, start, start + mended.shape[1], job.source.rate)
    mended = before + weight * (mended - before)
    sink.add(start, mended, job.damage.lost(start, before) & (mended != before))
