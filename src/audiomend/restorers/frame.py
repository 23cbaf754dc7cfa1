"""What all restorers share: level, region, strength, known samples, progress. Once, for arrays and files."""

import contextlib
from collections import defaultdict
from collections.abc import Callable, Generator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast

import torch

from audiomend.audio.level import ActiveLevel
from audiomend.audio.reader import SoundReader, blocks
from audiomend.errors import Cancelled, OptionError, UsageError, unknown
from audiomend.models.store import card_of
from audiomend.restorers.bent import BentJob, Straightened
from audiomend.restorers.classical import parts
from audiomend.restorers.damage import Bent, Clipped, Damage, Gaps, Within
from audiomend.restorers.diffusion import Stretch, stretches, windows_for
from audiomend.restorers.filling import Filling, Guess, by_filling
from audiomend.restorers.guessing import for_draw
from audiomend.restorers.guiding import check
from audiomend.restorers.jobs import Array, ClassicalJob, Job, Jobs, Sink, WalkJob, place
from audiomend.restorers.methods import AUTO, METHODS, names
from audiomend.restorers.options import Options
from audiomend.restorers.presets import PUBLISHED, check_published
from audiomend.restorers.regions import Interval
from audiomend.restorers.regions import merge as joined
from audiomend.restorers.settings import way
from audiomend.restorers.walking import LONGEST_S, LONGEST_WITH_GRAPH_S, SAMPLERS, streamed
from audiomend.restorers.way import DIFFERENTIATED
from audiomend.words import plural

LISTED = 10  # gaps whose times are told

Progress = Callable[[float], object]
"""Called with the share that is done, 0 to 1; returning False cancels."""


def check_names(verb: str, options: Options) -> None:
    """Find out, whatever there is to be mended, whether the method and the model exist.

    Raises:
        UsageError: an unknown method, or one without the published settings that are wanted.
        ModelError: an unknown model, or one that cannot be read.
    """
    if options.method not in names(verb):
        raise unknown("method", options.method, names(verb))
    if options.preset == PUBLISHED:
        check_published(verb, options.method, options.quality)
    if isinstance(options.model, (str, Path)):
        card_of(options.model)


def prepare(source: SoundReader, damage: Damage | Bent, gain: float, options: Options) -> Job:
    """Find the stretches that are to be mended, and load the model where one is needed.

    Args:
        gain: from the file's level to SIGMA_DATA.

    Raises:
        UsageError, ModelError: options that cannot be had.
    """
    verb, name = damage.verb, options.method
    check_names(verb, options)
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
        raise OptionError(
            refused[0], f"is nothing for the method {name}, which evaluates no network; diffusion takes it."
        )
    by = method.at(options.quality)
    if options.preset == PUBLISHED and method.published is not None:
        by = method.published
    if damage.severity > by.most:
        raise UsageError(
            f"The method {name} fills gaps of up to {by.most:g} s; one here lasts"
            f" {damage.severity:.3f} s, for which there are similarity and diffusion."
        )
    if by.raw and isinstance(damage, Clipped):
        damage = replace(damage, raw=True)
    damage = Within(damage, options.regions) if options.regions else damage
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
    """`prepare` for gaps, each filled in the way that suits its length and what is around it."""
    every = joined(gap for row in damage.gaps for gap in row)
    ways = by_filling(source, damage, every)
    jobs = [_filled(source, damage, gain, options, filling, chosen) for filling, chosen in ways]
    if len(jobs) == 1:
        return jobs[0]
    whole = Within(damage, options.regions) if options.regions else damage
    lengths = defaultdict[str, list[float]](list)
    for job, (_, chosen) in zip(jobs, ways, strict=True):
        lengths[job.method] += [(end - first) / source.rate for first, end in chosen]
    method = ", ".join(f"{name} for {_gaps_of(found)}" for name, found in lengths.items())
    settings = ". ".join(
        f"{job.method} at {_starts_of(chosen, source.rate)}: {job.settings}"
        for job, (_, chosen) in zip(jobs, ways, strict=True)
    )
    return Jobs(source, whole, options, jobs, method, settings)


def _gaps_of(lengths_s: Sequence[float]) -> str:
    """So many gaps, from the shortest to the longest."""
    ends = dict.fromkeys(f"{length:.2g}" for length in (min(lengths_s), max(lengths_s)))
    return f"{plural(len(lengths_s), 'gap')} of {' to '.join(ends)} s"


def _starts_of(gaps: Sequence[Interval], rate: int) -> str:
    """Where gaps begin: the first of them, and how many more there are."""
    starts = ", ".join(f"{first / rate:.3f}" for first, _ in gaps[:LISTED])
    return f"{starts} s" + (f" and {len(gaps) - LISTED:,} more" if len(gaps) > LISTED else "")


def _filled(
    source: SoundReader,
    damage: Gaps,
    gain: float,
    options: Options,
    filling: Filling,
    chosen: Sequence[Interval],
) -> WalkJob | ClassicalJob:
    """`prepare` for the gaps that are filled in one way."""
    severity = max(end - first for first, end in chosen) / source.rate
    if filling.method == "diffusion":
        return prepare_walk(source, Within(replace(damage, severity=severity), chosen), gain, options)
    guess = Guess(filling, damage, chosen, source.rate, options.quality)
    words = f"the gaps filled by {filling.method}"
    some = Within(replace(damage, severity=severity, guess=words, guessed=guess.warm), chosen)
    if filling.walk is None:
        quality = options.quality if METHODS["inpaint"][filling.method].qualities else None
        alone = replace(options, method=filling.method, quality=quality)
        return cast(ClassicalJob, prepare(source, some, gain, alone))
    walk = prepare_walk(source, some, gain, replace(options, walk=filling.walk))
    return replace(walk, method=f"{filling.method} and diffusion", blend=guess)


def prepare_walk(source: SoundReader, damage: Damage, gain: float, options: Options) -> WalkJob:
    """`prepare` for the method diffusion."""
    prior = options.prior()
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
    if options.draw:
        damage = for_draw(damage, gain, options.seed)
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
    most = LONGEST_WITH_GRAPH_S if sampler in DIFFERENTIATED else LONGEST_S
    if longest > most:
        raise UsageError(
            f"The sampler {sampler} holds what it mends in memory: {longest:.0f} s at a time are too long for"
            f" it, {most:.0f} s are allowed; --region or another sampler makes it shorter."
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
        place(job, previews[index], start, estimate)

    for start, mended in job.pieces(told, preview if previews else None):
        place(job, sink, start, mended)


@contextlib.contextmanager
def threads(count: int | None) -> Generator[None]:
    """Let torch use `count` threads inside the block; None leaves it as it is."""
    before = torch.get_num_threads()
    if count is not None:
        if count < 1:
            raise OptionError("threads", f"is {count}; it must be 1 or more.")
        torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
