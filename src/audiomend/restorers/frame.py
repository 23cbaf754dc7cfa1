"""What all restorers share: level, region, strength, known samples, progress. Once, for arrays and files."""

import contextlib
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from heapq import merge
from typing import Any, Protocol, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from audiomend.audio.blocks import Spill
from audiomend.audio.level import ActiveLevel
from audiomend.audio.reader import Overlaid, SoundReader, blocks
from audiomend.errors import Cancelled, UsageError, unknown
from audiomend.models.precision import choose, choose_device
from audiomend.models.prior import Prior, load
from audiomend.restorers.classical import Part, parts, restored
from audiomend.restorers.damage import Bent, Damage, Gaps, Located, Within
from audiomend.restorers.diffusion import (
    Preview,
    Stretch,
    mend,
    seconds_per_evaluation,
    stretches,
    windows_for,
)
from audiomend.restorers.filling import FILLINGS, Guess
from audiomend.restorers.guiding import GUIDANCE, check
from audiomend.restorers.memory import read_padded
from audiomend.restorers.methods import AUTO, METHODS, Method, names
from audiomend.restorers.regions import Interval, region_fade
from audiomend.restorers.regions import merge as joined
from audiomend.restorers.settings import way
from audiomend.restorers.walking import LONGEST_S, SAMPLERS, streamed
from audiomend.restorers.way import MEASURING, Way

Array = NDArray[Any]

Pieces = Iterator[tuple[int, Array]]
"""(position, (channels, n)) of a mended signal at the file's level, in order of position."""

JOB_AMOUNT = 1000  # of each of several jobs: their own units differ

Progress = Callable[[float], object]
"""Called with the share that is done, 0 to 1; returning False cancels."""


@dataclass(frozen=True)
class Options:
    """What a user may choose, the same for every verb.

    Attributes:
        method: a name of `methods.names` for the verb.
        model: a shipped model's name, a model's folder, or None for the default.
        quality: fast, balanced or best: 8, 16 or 32 network evaluations; None is balanced, or the preset's
            own number.
        steps: evaluations, instead of a quality.
        preset: a published way to walk, of `presets.PRESETS`.
        guidance, solver, sampler: names of `guiding.GUIDANCE`, `way.SOLVERS` and `walking.SAMPLERS`, instead
            of the preset's or the verb's.
        seed: of all noise.
        strength: 0 leaves the damage, 1 mends it; between, a share of the change is made.
        regions: sample intervals outside which nothing changes; empty means everywhere.
        precision: auto, float32 or bfloat16.
        device: auto, cpu, cuda or mps.
        walk: other values for fields of `Way`, for comparisons.
        draw: walk to a sample of the posterior, instead of the most accurate signal.
    """

    method: str = "auto"
    model: str | None = None
    quality: str | None = None
    steps: int | None = None
    preset: str | None = None
    guidance: str | None = None
    solver: str | None = None
    sampler: str | None = None
    seed: int = 0
    strength: float = 1.0
    regions: tuple[Interval, ...] = ()
    precision: str = "auto"
    device: str = "auto"
    walk: Mapping[str, object] = field(default_factory=dict[str, object])
    draw: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise UsageError(f"The strength is {self.strength:g}; it must lie between 0 and 1.")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"The seed {self.seed} is not a whole number from 0 to 2^64 - 1.")

    @property
    def changes(self) -> dict[str, object]:
        """Fields of `Way` that were chosen."""
        named = {"guidance": self.guidance, "solver": self.solver, "sampler": self.sampler}
        return {**{key: name for key, name in named.items() if name is not None}, **self.walk}

    @property
    def walked(self) -> tuple[str, ...]:
        """The options given that only a prior's walk obeys, by name."""
        samples = True if self.draw else None
        given = {"model": self.model, "steps": self.steps, "preset": self.preset, "samples": samples}
        return (*(key for key, value in given.items() if value is not None), *self.changes)


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
        return f"{self.way.solver}, {self.way.guidance}"

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
        return self.evaluations * seconds_per_evaluation(self.prior, GUIDANCE[self.way.guidance].gradient)

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        if preview is not None and self.way.sampler in MEASURING:
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
    estimate_seconds: float = 0.0

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
class BentJob:
    """Curves to be inverted, and a job for what they do not tell.

    Attributes:
        source, damage, options: what is mended.
        flat: mends the flat samples of the straightened signal; None if there are none.
    """

    source: SoundReader
    damage: Bent
    options: Options
    flat: Job | None
    seconds: float

    @property
    def method(self) -> str:
        return "inverse curve" + ("" if self.flat is None else f", {self.flat.method} where it is flat")

    @property
    def settings(self) -> str:
        curves = dict.fromkeys(f"{b.curve} towards {b.level:.4g}" for b in self.damage.bends if b is not None)
        return "; ".join([*curves, *([] if self.flat is None else [self.flat.settings])])

    @property
    def model(self) -> str:
        return "" if self.flat is None else self.flat.model

    @property
    def precision(self) -> str:
        return "" if self.flat is None else self.flat.precision

    @property
    def started_from(self) -> str:
        return "" if self.flat is None else self.flat.started_from

    @property
    def steps(self) -> int:
        return 0 if self.flat is None else self.flat.steps

    @property
    def estimate_seconds(self) -> float:
        return 0.0 if self.flat is None else self.flat.estimate_seconds

    @property
    def amount(self) -> int:
        return self.source.frames if self.flat is None else self.flat.amount

    def pieces(self, done: Callable[[int], None], preview: Preview | None) -> Pieces:
        del preview  # what a walk shows on the way is of the flat samples alone
        straight = Straightened(self.source, self.damage)
        with Spill(self.source.channels, np.float64) as changes:
            if self.flat is not None:
                for start, mended in self.flat.pieces(done, None):
                    _place(self.flat, changes, start, mended)
            whole = Overlaid(straight, changes)
            for start, stop in blocks(self.source):
                yield start, whole.read(start, stop)
                if self.flat is None:
                    done(stop - start)


@dataclass(frozen=True, eq=False)
class Straightened:
    """A `SoundReader` of a signal through the inverses of its curves."""

    source: SoundReader
    damage: Bent

    @property
    def rate(self) -> int:
        return self.source.rate

    @property
    def channels(self) -> int:
        return self.source.channels

    @property
    def frames(self) -> int:
        return self.source.frames

    def read(self, start: int, stop: int) -> Array:
        return self.damage.straightened(self.source.read(start, stop))


@dataclass(frozen=True, eq=False)
class Jobs:
    """Work for several methods, each on stretches of its own.

    Attributes:
        source, damage, options: what is mended, all of it.
        each: the jobs.
    """

    source: SoundReader
    damage: Located
    options: Options
    each: Sequence[WalkJob | ClassicalJob]

    @property
    def method(self) -> str:
        return ", ".join(dict.fromkeys(job.method for job in self.each))

    @property
    def settings(self) -> str:
        return "; ".join(dict.fromkeys(job.settings for job in self.each))

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


def prepare(source: SoundReader, damage: Damage | Bent, gain: float, options: Options) -> Job:
    """Find the stretches that are to be mended, and load the model where one is needed.

    Args:
        gain: from the file's level to SIGMA_DATA.

    Raises:
        UsageError, ModelError: options that cannot be had.
    """
    verb, name = damage.verb, options.method
    if name not in names(verb):
        raise unknown("method", name, names(verb))
    if isinstance(damage, Bent):
        return prepare_bent(source, damage, options)
    if name == "auto" and isinstance(damage, Gaps) and verb == "inpaint" and not options.walked:
        return prepare_gaps(source, damage, gain, options)
    if name == "auto":
        name = "diffusion" if options.walked else AUTO.get(verb, "diffusion")
    if name == "diffusion":
        return prepare_walk(source, damage, gain, options)
    method = METHODS[verb][name]
    named = options.method != "auto" and options.quality is not None and not method.qualities
    refused = ("quality", *options.walked) if named else options.walked
    if refused:
        raise UsageError(
            f"The method {name} evaluates no network, so it takes no {refused[0]}; diffusion does."
        )
    if damage.severity > method.most:
        raise UsageError(
            f"The method {name} fills gaps of up to {method.most:g} s; one here lasts"
            f" {damage.severity:.3f} s, for which there are similarity and diffusion."
        )
    damage = Within(damage, options.regions) if options.regions else damage
    by = method.at(options.quality)
    return ClassicalJob(source, damage, gain, options, name, by, parts(source, damage, by))


def prepare_bent(source: SoundReader, damage: Bent, options: Options) -> Job:
    """`prepare` for soft clipping: the method is that of its flat part."""
    straight, level, count = Straightened(source, damage), ActiveLevel(source.rate), 0
    for start, stop in blocks(source):
        samples = straight.read(start, stop)
        level.add(samples)
        count += int(damage.flat(source.rate).lost(start, samples).sum())
    share = count / (source.frames * source.channels)
    damage = replace(damage, severity=share, regions=tuple(options.regions))
    flat = None
    if count:  # all of the change: its share is taken of the sum
        whole = replace(options, strength=1.0)
        flat = prepare(straight, damage.flat(source.rate), level.gain, whole)
    return BentJob(source, damage, options, flat, source.frames / source.rate)


def prepare_gaps(source: SoundReader, damage: Gaps, gain: float, options: Options) -> Job:
    """`prepare` for gaps, each filled in the way that suits its length."""
    jobs: list[WalkJob | ClassicalJob] = []
    every = joined(gap for row in damage.gaps for gap in row)
    shortest = 0.0
    for filling in FILLINGS:
        longest = filling.longest_s * source.rate
        chosen = [gap for gap in every if shortest < gap[1] - gap[0] <= longest]
        shortest = longest
        if not chosen:
            continue
        guess = Guess(filling, damage, chosen, source.rate)
        words = f"the gaps filled by {filling.method}"
        severity = max(end - first for first, end in chosen) / source.rate
        some = Within(replace(damage, severity=severity, guess=words, guessed=guess.warm), chosen)
        if filling.walk is None:
            job = cast(ClassicalJob, prepare(source, some, gain, replace(options, method=filling.method)))
        else:
            walk = prepare_walk(source, some, gain, replace(options, walk=filling.walk))
            name = f"{filling.method} and diffusion"
            job = replace(walk, method=name, blend=guess if filling.blended else None)
        jobs.append(job)
    if len(jobs) == 1:
        return jobs[0]
    return Jobs(source, Within(damage, options.regions) if options.regions else damage, options, jobs)


def prepare_walk(source: SoundReader, damage: Damage, gain: float, options: Options) -> WalkJob:
    """`prepare` for the method diffusion."""
    device = choose_device(options.device)
    prior = load(options.model, choose(options.precision, device), device)
    chosen = way(
        damage.verb,
        options.quality,
        options.steps,
        options.changes,
        damage.severity,
        options.preset,
        options.draw,
    )
    windows = windows_for(prior, source.rate)
    if damage.clean_rms > 0:
        gain = min(gain, prior.card.sigma_data / damage.clean_rms)
    if options.regions:
        damage = Within(damage, options.regions)
    every = torch.ones(1, source.channels, dtype=torch.bool)
    check(chosen.guidance, damage.operator([0], windows.length, every, gain))
    work = stretches(source, damage, windows)
    if SAMPLERS[chosen.sampler] is not streamed:
        _check_lengths(chosen.sampler, work, windows.hop / source.rate)
    inputs = sum(stretch.inputs for stretch in work)
    return WalkJob(source, damage, gain, options, prior, chosen, work, inputs * chosen.evaluations)


def _check_lengths(sampler: str, work: Sequence[Stretch], hop_s: float) -> None:
    """What is walked in memory must fit into it."""
    longest = max(((stretch.last - stretch.first + 1) * hop_s for stretch in work), default=0.0)
    if longest > LONGEST_S:
        raise UsageError(
            f"The sampler {sampler} holds what it mends in memory: {longest:.0f} s at a time are too long for"
            f" it, {LONGEST_S:.0f} s are allowed; --region or another sampler makes it shorter."
        )


def run(job: Job, sink: Sink, progress: Progress | None = None, previews: Sequence[Sink] = ()) -> None:
    """Do the work; every mended sample goes to the sink, in order of position.

    previews: a sink for each evaluation (`Way.evaluations`), which gets what the work would end with there;
        or none.

    Raises:
        Cancelled: `progress` returned False.
    """
    done = 0

    def told(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None and progress(min(done / max(job.amount, 1), 1.0)) is False:
            raise Cancelled("The work was cancelled; nothing was changed.")

    def preview(index: int, start: int, estimate: Array) -> None:
        _place(job, previews[index], start, estimate)

    for start, mended in job.pieces(told, preview if previews else None):
        _place(job, sink, start, mended)


def _place(job: Job, sink: Sink, start: int, mended: Array) -> None:
    """Give the sink the share of the change that is wanted, of the lost samples alone."""
    before = job.source.read(start, start + mended.shape[1])
    mended = job.damage.settle(before, mended)
    weight = np.full(mended.shape[1], job.options.strength)
    if job.options.regions and job.damage.verb == "extend":  # the others change what is lost anyway
        weight *= region_fade(job.options.regions, start, start + mended.shape[1], job.source.rate)
    mended = before + weight * (mended - before)
    sink.add(start, mended, job.damage.lost(start, before) & (mended != before))


@contextlib.contextmanager
def threads(count: int | None) -> Generator[None]:
    """Let torch use `count` threads inside the block; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is not None:
        if count < 1:
            raise UsageError(f"{count} threads are too few: at least 1.")
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
