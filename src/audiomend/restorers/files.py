"""The verbs for files of any length: survey, mend into a spill, assemble the output."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import cast

import numpy as np

from audiomend.audio.blocks import Assembly, Spill, assemble
from audiomend.audio.file import PIPE, Sound, Survey, open_sound, sha256, survey
from audiomend.audio.level import ActiveLevel
from audiomend.audio.output import ClipMode, Target, check_output, check_residue
from audiomend.audio.reader import SoundReader, by_position
from audiomend.errors import Cancelled, UsageError
from audiomend.restorers.beside import (
    Drawn,
    Sample,
    check_previews,
    check_samples,
    share_that_differs,
    write_previews,
)
from audiomend.restorers.drawing import draws, part
from audiomend.restorers.frame import Progress, prepare, run
from audiomend.restorers.jobs import Job
from audiomend.restorers.locate import Found, Given, search
from audiomend.restorers.options import Options
from audiomend.restorers.regions import Interval, parse_intervals
from audiomend.tuning import give_back


@dataclass(frozen=True)
class Request:
    """What a user asks of one file.

    Attributes:
        verb: declip, declick, inpaint or extend.
        source, output: paths; "-" is a WAV on a pipe.
        options: as for arrays; its regions are filled from `regions`.
        given: what the user knows of the damage; its gaps are filled from `gaps`, or else, where bands are
            given, from `regions`.
        regions, gaps: spans or Audacity label files, as `parse_intervals` takes them.
        clip_mode: what happens to restored peaks that the format cannot hold.
        residue: path of input minus output.
        samples: number of posterior samples to be written beside the output (`beside.sample_paths`), 2 or
            more; 0 for none. The output itself does not depend on it.
        previews: folder for the sound after each evaluation, as step-01.wav and so on.
        force: whether existing files may be replaced.
    """

    verb: str
    source: str
    output: str
    options: Options = field(default_factory=Options)
    given: Given = field(default_factory=Given)
    regions: tuple[str, ...] = ()
    gaps: tuple[str, ...] = ()
    clip_mode: ClipMode = "rescale"
    residue: str | None = None
    samples: int = 0
    previews: str | None = None
    force: bool = False


@dataclass(frozen=True)
class Plan:
    """What is about to be done, before it is.

    Attributes:
        found: what is wrong with the file, in words and numbers.
        seconds: length of the file.
        damaged_seconds: length of the windows that have to be walked.
        estimate_seconds: how long the work will take, from a timed piece of it; 0 for little or none.
    """

    found: Found
    seconds: float
    damaged_seconds: float
    estimate_seconds: float


@dataclass(frozen=True)
class Outcome:
    """What was done.

    Attributes:
        plan: what was found.
        survey: frames, peak and warnings of the input.
        assembly: format, gain, changed and clamped samples of the output.
        rate, channels: of both.
        method, settings: what mended, and its settings in words; empty if nothing had to be.
        model, precision, steps: of the diffusion prior; empty and 0 if none took part.
        started_from: the guess that was walked from, in words; empty like the model.
        seconds: wall time of the work.
        input_sha256, output_sha256: of the files; empty for pipes.
        drawn: the posterior samples beside the output; None if none were asked for or nothing was damaged.
        previews: paths of the sound after each evaluation.
    """

    plan: Plan
    survey: Survey
    assembly: Assembly
    rate: int
    channels: int
    method: str
    settings: str
    model: str
    precision: str
    steps: int
    started_from: str
    seconds: float
    input_sha256: str
    output_sha256: str
    drawn: Drawn | None = None
    previews: tuple[str, ...] = ()

    @property
    def changed(self) -> int:
        """Number of samples over all channels that the mending changed in the output."""
        return self.assembly.changed

    @property
    def intervals(self) -> tuple[Interval, ...]:
        """Frames that hold such samples, half-open, in order; those less than 10 ms apart are one."""
        return self.assembly.intervals


def mend_file(
    request: Request,
    announce: Callable[[Plan], None] = lambda _: None,
    progress: Progress | None = None,
) -> Outcome:
    """Mend one file; the output appears when it is whole, or not at all.

    Args:
        announce: called with the plan before the work starts.
        progress: called with the share done; returning False cancels.

    Raises:
        AudiomendError: whatever is wrong with the input, the output, the options or the model.
        Cancelled: by `progress`.
    """
    with open_sound(request.source) as sound:
        target = check_output(request.output, sound, force=request.force, clip_mode=request.clip_mode)
        residue = residue_target(request.residue, sound, target, force=request.force)
        beside = _check_beside(request, sound)
        begun = time.monotonic()
        input_sha256 = "" if request.source == PIPE else sha256(Path(request.source))  # OUT may replace it
        level = ActiveLevel(sound.rate)
        found, counted = _survey(request, sound, level)
        give_back()
        with (
            by_position(sound, counted.frames) as reader,
            Spill(sound.channels, wide_enough(sound)) as spill,
            contextlib.ExitStack() as more,
        ):

            def spills(count: int) -> list[Spill]:
                return [more.enter_context(Spill(sound.channels, wide_enough(sound))) for _ in range(count)]

            job = _job(request, reader, found, level, counted)
            wanted = draws(request.options, len(beside)) if beside and job is not None else []
            drawings = [_job(replace(request, options=one), reader, found, level, counted) for one in wanted]
            plan = Plan(found, counted.frames / sound.rate, *_cost(job, drawings))
            announce(plan)
            kept = spills(len(drawings))
            on_the_way = spills(0 if job is None or request.previews is None else job.steps)
            for number, (one, sink) in enumerate(zip([job, *drawings], [spill, *kept], strict=True)):
                if one is not None:
                    told = part(progress, number, 1 + len(drawings))
                    run(one, sink, told, on_the_way if one is job else ())
            if progress is not None and progress(1.0) is False:
                raise Cancelled("The work was cancelled; nothing was written.")
            previews = list[str]()
            if on_the_way and request.previews is not None:
                previews = write_previews(request.previews, reader, on_the_way, force=request.force)
            drawn = None
            if job is not None and kept:
                samples = _write_samples(request, sound, counted, wanted, beside, kept)
                started_from = next(one.started_from for one in drawings if one is not None)
                drawn = Drawn(samples, share_that_differs(reader, kept), started_from)
            written = assemble(sound, counted, spill, target, clip_mode=request.clip_mode, residue=residue)
            return Outcome(
                plan=plan,
                survey=counted,
                assembly=written,
                rate=sound.rate,
                channels=sound.channels,
                method="" if job is None else job.method,
                settings="" if job is None else job.settings,
                model="" if job is None else job.model,
                precision="" if job is None else job.precision,
                steps=0 if job is None else job.steps,
                started_from="" if job is None else job.started_from,
                seconds=time.monotonic() - begun,
                input_sha256=input_sha256,
                output_sha256="" if target.path is None else sha256(target.path),
                drawn=drawn,
                previews=tuple(previews),
            )


def _survey(request: Request, sound: Sound, level: ActiveLevel) -> tuple[Found, Survey]:
    given = request.given
    if request.gaps or request.regions:
        frames = survey(
            sound
        ).frames  # spans are checked against the frames that are there, before any search
        where = request.gaps or request.regions if given.bands else request.gaps
        given = replace(given, gaps=tuple(parse_intervals(where, sound.rate, frames)))
    looking = search(request.verb, given, sound.rate, sound.channels)
    counted = survey(sound, [level, *looking.accumulators])
    return looking.conclude(), counted


def _job(
    request: Request, reader: SoundReader, found: Found, level: ActiveLevel, counted: Survey
) -> Job | None:
    """The work to be done, or None where the file is silent, whole, or is to stay as it is."""
    regions = tuple(parse_intervals(request.regions, reader.rate, counted.frames))
    options = replace(request.options, regions=regions)
    if request.previews is not None and options.method == "auto":
        options = replace(options, method="diffusion")  # previews are of its evaluations
    if found.damage is None or level.rms == 0 or options.strength == 0:
        return None
    return prepare(reader, found.damage, level.gain, options)


def _cost(job: Job | None, drawings: Sequence[Job | None]) -> tuple[float, float]:
    """Seconds of sound that have to be walked, and of work for them and the posterior samples."""
    if job is None:
        return 0.0, 0.0
    together = sum(one.estimate_seconds for one in (job, *drawings) if one is not None)
    return min(job.seconds, job.source.frames / job.source.rate), together


def _check_beside(request: Request, sound: Sound) -> list[Target]:
    """The files of the posterior samples; all names that the command writes beside OUT are checked."""
    named = [path for path in (request.source, request.output) if path != PIPE]
    others = [*named, *([] if request.residue is None else [request.residue])]
    if request.previews is not None:
        if (method := request.options.method) not in ("auto", "diffusion"):
            raise UsageError(f"previews are of a network's evaluations, and the method {method} has none")
        check_previews(request.previews, others, force=request.force)
    others = [path for path in others if path != request.output]
    force, clip_mode = request.force, request.clip_mode
    return check_samples(request.output, request.samples, others, sound, force=force, clip_mode=clip_mode)


def _write_samples(
    request: Request,
    sound: Sound,
    counted: Survey,
    wanted: Sequence[Options],
    targets: Sequence[Target],
    spills: Sequence[Spill],
) -> tuple[Sample, ...]:
    """Write the posterior samples, each in the way of the output."""
    written = list[Sample]()
    for options, target, spill in zip(wanted, targets, spills, strict=True):
        assembly = assemble(sound, counted, spill, target, clip_mode=request.clip_mode)
        path = cast(Path, target.path)
        written.append(Sample(str(path), options.seed, assembly, sha256(path)))
    return tuple(written)


def residue_target(path: str | None, sound: Sound, target: Target, *, force: bool) -> Target | None:
    """Where the residue goes, if one is wanted. Raises as `check_residue` does."""
    return None if path is None else check_residue(path, sound, target, force=force)


def wide_enough(sound: Sound) -> type[np.float32] | type[np.float64]:
    """Mended samples are float32 where the file's own are no finer."""
    return np.float64 if sound.format.subtype in ("DOUBLE", "PCM_32") else np.float32
