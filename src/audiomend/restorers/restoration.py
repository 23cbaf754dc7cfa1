"""`restore`: what is wrong with a sound is found and mended stage by stage (`restorers/stages.py`)."""

import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from audiomend.audio.blocks import Assembly, Spill, assemble
from audiomend.audio.file import PIPE, Sound, Survey, open_sound, sha256, survey
from audiomend.audio.output import ClipMode, check_output
from audiomend.audio.reader import by_position
from audiomend.detect.diagnosis import Diagnosis, Examination
from audiomend.errors import UsageError, unknown
from audiomend.restorers.files import residue_target, wide_enough
from audiomend.restorers.options import Options
from audiomend.restorers.plan import (
    LATER,
    MENDED,
    Declip,
    MendingPlan,
    Stage,
    plan_of,
)
from audiomend.restorers.regions import Interval, parse_intervals
from audiomend.restorers.stages import Done, mend_stages
from audiomend.tuning import give_back


@dataclass(frozen=True)
class RestoreRequest:
    """What a user asks of one file.

    Attributes:
        source, output: paths; "-" is a WAV on a pipe.
        options: those of every stage but for the method, which the plan names.
        plan: what is to be done; None follows the diagnosis.
        only, skip: names of stages, instead of all that the plan has enabled.
        regions: spans or Audacity label files; nothing outside them changes.
        clip_mode: what happens to restored peaks that the format cannot hold.
        residue: path of input minus output.
        force: whether existing files may be replaced.
    """

    source: str
    output: str
    options: Options = field(default_factory=Options)
    plan: MendingPlan | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    regions: tuple[str, ...] = ()
    clip_mode: ClipMode = "rescale"
    residue: str | None = None
    force: bool = False

    def __post_init__(self) -> None:
        _check_stages((*self.only, *self.skip))


def stages_of(plan: MendingPlan, only: Sequence[str] = (), skip: Sequence[str] = ()) -> list[Stage]:
    """The stages of a plan that are to be done.

    only, skip: names of stages, instead of all that are enabled.

    Raises:
        UsageError: a name that there is not.
    """
    _check_stages((*only, *skip))
    wanted = [
        stage
        for stage in plan.stages
        if stage.enabled and stage.stage not in skip and (not only or stage.stage in only)
    ]
    is_declipped = any(isinstance(stage.settings, Declip) for stage in wanted)
    return [stage for stage in wanted if is_declipped or stage.reason != LATER]


def _check_stages(names: Sequence[str]) -> None:
    for name in names:
        if name not in MENDED:
            raise unknown("stage", name, MENDED)


@dataclass(frozen=True, kw_only=True)
class Restoration:
    """What was found and done.

    Attributes:
        diagnosis: of the input.
        plan: that was followed.
        done: the stages that were done, in order.
        left: the stages of the plan that were not: switched off, or not there yet.
        intervals: frames that hold changed samples, half-open, in order; those less than 10 ms apart are one.
        changed: samples that did, over all channels.
        residue_db: energy of input minus output over that of the input; -inf if nothing changed.
        seconds: wall time of the work.
    """

    diagnosis: Diagnosis
    plan: MendingPlan
    done: tuple[Done, ...]
    left: tuple[Stage, ...]
    intervals: tuple[Interval, ...]
    changed: int
    residue_db: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Restored(Restoration):
    """What was found and done in a file.

    Attributes:
        survey, assembly, rate, channels, input_sha256, output_sha256: as in `files.Outcome`.
    """

    survey: Survey
    assembly: Assembly
    rate: int
    channels: int
    input_sha256: str
    output_sha256: str


def restore_file(
    request: RestoreRequest,
    announce: Callable[[Diagnosis, MendingPlan, Sequence[Stage]], None] = lambda *_: None,
    progress: Callable[[Stage, float], object] | None = None,
    foretold: Callable[[Stage, float], object] | None = None,
) -> Restored:
    """Diagnose a file and mend it; the output appears when it is whole, or not at all.

    Args:
        announce: called with what was found and the stages that follow, before the work starts.
        progress: called with the stage and its share done; returning False cancels.
        foretold: called with a stage and how many seconds a part of it will take, before that begins; 0 for
            little. To know costs a trial.

    Raises:
        AudiomendError: whatever is wrong with the input, the output, the plan, the options or the model.
        Cancelled: by `progress`.
    """
    with open_sound(request.source) as sound:
        target = check_output(request.output, sound, force=request.force, clip_mode=request.clip_mode)
        residue = residue_target(request.residue, sound, target, force=request.force)
        begun = time.monotonic()
        digest = "" if request.source == PIPE else sha256(Path(request.source))  # OUT may replace it
        diagnosis, counted = _diagnosed(sound)
        plan = plan_of(diagnosis, request.source, digest) if request.plan is None else request.plan
        check_plan(plan, sound.name, (sound.rate, sound.channels, counted.frames), digest)
        regions = tuple(parse_intervals(request.regions, sound.rate, counted.frames))
        options = replace(request.options, regions=regions)
        wanted = stages_of(plan, request.only, request.skip)
        announce(diagnosis, plan, wanted)
        with (
            by_position(sound, counted.frames) as reader,
            contextlib.ExitStack() as stack,
        ):
            changes = stack.enter_context(Spill(sound.channels, wide_enough(sound)))
            kept_as = wide_enough(sound)
            done, _, residue_db = mend_stages(reader, wanted, options, changes, progress, kept_as, foretold)
            written = assemble(sound, counted, changes, target, clip_mode=request.clip_mode, residue=residue)
        return Restored(
            diagnosis=diagnosis,
            plan=plan,
            done=done,
            left=tuple(stage for stage in plan.stages if stage not in wanted),
            survey=counted,
            assembly=written,
            rate=sound.rate,
            channels=sound.channels,
            intervals=written.intervals,
            changed=written.changed,
            residue_db=residue_db,
            seconds=time.monotonic() - begun,
            input_sha256=digest,
            output_sha256="" if target.path is None else sha256(target.path),
        )


def _diagnosed(sound: Sound) -> tuple[Diagnosis, Survey]:
    """What is wrong; what the detectors hold is given up before the work begins."""
    examination = Examination(sound.channels, sound.rate)
    counted = survey(sound, [examination])
    diagnosis = examination.diagnosis()
    del examination
    give_back()
    return diagnosis, counted


def check_plan(plan: MendingPlan, name: str, size: tuple[int, int, int], digest: str = "") -> None:
    """A plan belongs to its sound: places and levels of another one would do harm.

    size: rate, channels and frames of the sound.

    Raises:
        UsageError: it was made for another one.
    """
    made = plan.input
    if (made.rate, made.channels, made.frames) != size or (digest and made.sha256 not in ("", digest)):
        raise UsageError(
            f"The plan was made for another file, {made.path or 'a pipe'} ({made.frames:,} frames of"
            f" {made.channels} channels at {made.rate:,} Hz); `audiomend inspect` makes one of {name}."
        )
