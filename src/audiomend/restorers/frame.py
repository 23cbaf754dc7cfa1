"""What all restorers share: level, region, strength, known samples, progress. Once, for arrays and files."""

import contextlib
from collections.abc import Callable, Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.audio.reader import SoundReader
from audiomend.errors import Cancelled, UsageError
from audiomend.models.precision import choose, choose_device
from audiomend.models.prior import Prior, load
from audiomend.restorers.damage import Damage, Within
from audiomend.restorers.diffusion import Stretch, mend, stretches, windows_for
from audiomend.restorers.guiding import check
from audiomend.restorers.regions import Interval, region_fade
from audiomend.restorers.settings import way
from audiomend.restorers.walking import LONGEST_S, SAMPLERS, streamed
from audiomend.restorers.way import MEASURING, Way

Array = NDArray[Any]

METHODS = ("auto", "diffusion")

Progress = Callable[[float], object]
"""Called with the share that is done, 0 to 1; returning False cancels."""


@dataclass(frozen=True)
class Options:
    """What a user may choose, the same for every verb.

    Attributes:
        method: auto or diffusion.
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
        if self.method not in METHODS:
            raise UsageError(f"The method {self.method} is unknown; it is one of {', '.join(METHODS)}.")
        if not 0 <= self.strength <= 1:
            raise UsageError(f"The strength is {self.strength:g}; it must lie between 0 and 1.")
        if not 0 <= self.seed < 2**64:
            raise UsageError(f"The seed {self.seed} is not a whole number from 0 to 2^64 - 1.")

    @property
    def changes(self) -> dict[str, object]:
        """Fields of `Way` that were chosen."""
        named = {"guidance": self.guidance, "solver": self.solver, "sampler": self.sampler}
        return {**{key: name for key, name in named.items() if name is not None}, **self.walk}


class Sink(Protocol):
    """Where mended samples go: an array, or a file's spill."""

    def add(self, start: int, samples: Array, changed: Array) -> None: ...


@dataclass(frozen=True, eq=False)
class Job:
    """Work that was found and can be estimated before it is done.

    Attributes:
        source, damage, gain: what is mended.
        options, prior, way: how.
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

    @property
    def started_from(self) -> str:
        """What noise was added to, in words."""
        return self.damage.guess if self.way.warm else "noise alone"


def prepare(source: SoundReader, damage: Damage, gain: float, options: Options) -> Job:
    """Load the model and find the stretches to be walked.

    Args:
        gain: from the file's level to the prior's.

    Raises:
        UsageError, ModelError: options that cannot be had.
    """
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
    return Job(source, damage, gain, options, prior, chosen, work, inputs * chosen.evaluations)


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

    def evaluated(count: int) -> None:
        nonlocal done
        done += count
        if progress is not None and progress(min(done / max(job.evaluations, 1), 1.0)) is False:
            raise Cancelled("The work was cancelled; nothing was changed.")

    def preview(index: int, start: int, estimate: Array) -> None:
        _place(job, previews[index], start, estimate)

    if previews and job.way.sampler in MEASURING:
        raise UsageError(f"The sampler {job.way.sampler} walks without a solver, so it has no previews.")

    pieces = mend(
        job.source,
        job.damage,
        job.work,
        job.prior,
        job.way,
        job.gain,
        job.options.seed,
        evaluated,
        preview if previews else None,
    )
    for start, mended in pieces:
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
