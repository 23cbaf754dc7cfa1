"""The verbs for arrays: the same shape, dtype and library comes back."""

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.audio.blocks import Spill
from audiomend.audio.level import ActiveLevel
from audiomend.audio.reader import SoundReader
from audiomend.errors import UsageError
from audiomend.models.prior import Prior
from audiomend.restorers.bands import Band
from audiomend.restorers.drawing import draws, part
from audiomend.restorers.frame import Progress, check_names, prepare, run
from audiomend.restorers.frame import threads as _threads
from audiomend.restorers.inspection import inspect
from audiomend.restorers.locate import Given, search
from audiomend.restorers.memory import ArrayReader, ArraySink, rows_of
from audiomend.restorers.options import Options
from audiomend.restorers.plan import MendingPlan, Stage, plan_of
from audiomend.restorers.regions import merge
from audiomend.restorers.restoration import Restoration, check_plan, stages_of
from audiomend.restorers.stages import mend_stages

Array = NDArray[Any]
Samples = TypeVar("Samples", NDArray[Any], torch.Tensor)
Seconds = tuple[float, float]
SURVEY_FRAMES = 1 << 18  # of a block of the first pass


def declip(
    audio: Samples,
    sample_rate: int,
    *,
    clip_level: float | None = None,
    method: str = "auto",
    model: str | Path | Prior | None = None,
    quality: str | None = None,
    steps: int | None = None,
    preset: str | None = None,
    guidance: str | None = None,
    solver: str | None = None,
    sampler: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    strength: float = 1.0,
    regions: Sequence[Seconds] = (),
    progress: Progress | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    walk: Mapping[str, object] | None = None,
) -> Samples:
    """Restore the peaks that clipping cut off. Samples that are not clipped stay as they are.

    Where there is no hard clipping but a curve that bent the sound, as valves and tapes do, it is found and
    inverted; the method then mends the tops where it is flat.

    Args:
        audio: (time,) or (channels, time), floats (full scale 1) or signed integers; integers cannot hold
            restored peaks beyond full scale, which are clamped.
        sample_rate: in Hz, 1,000 to 768,000.
        clip_level: samples whose magnitude reaches it are clipped; None finds the level of each channel and
            polarity.
        method: auto takes what measured best; diffusion is the prior; a-spade, s-spade, ss-ew, ss-pew and ar
            need none, and none of the arguments that are about it.
        model: a shipped model's name, a model's folder, or what `audiomend.load_model` gave, which many calls
            can use; None takes the default.
        quality: fast, balanced or best: 8, 16 or 32 network evaluations, or less or more work where no
            network takes part (`extend`, and gaps filled with a similar stretch, have one quality then); None
            is balanced, or the preset's own number.
        steps: number of evaluations, instead of a quality.
        preset: a published way to mend; `audiomend presets` lists them. published runs a method that needs no
            prior, named by `method`, as its paper does, and takes no quality.
        guidance, solver, sampler: names that docs/how-it-works.md lists, instead of the preset's or the usual
            one.
        seed: of all noise; the same seed gives the same samples.
        samples: draw so many samples of the posterior, with the seeds from `seed` on, instead of the most
            accurate signal; where they differ, nothing is known.
        strength: 0 to 1, the share of the change that is made.
        regions: (start, stop) in seconds; nothing outside them changes. Empty means everywhere.
        progress: called with the share done, 0 to 1; returning False cancels.
        precision: auto, float32 or bfloat16, of the network.
        device: auto, cpu, cuda or mps; a model that is loaded has both, so then they stay auto.
        threads: of torch, during the call; None leaves them.
        walk: for comparisons, other values for fields of `audiomend.restorers.way.Way`, such as
            {"solver": "unipc", "warm": False}.

    Returns:
        mended audio of the same shape, dtype and library; with `samples` (samples, *shape).

    Raises:
        UsageError: an argument that cannot be used; the message says what is allowed.
        ModelError: an unknown or damaged model.
        Cancelled: by `progress`.
    """
    given = Given(clip_level=clip_level)
    options = Options(
        method,
        model,
        quality,
        steps,
        preset,
        guidance,
        solver,
        sampler,
        seed,
        strength,
        (),
        precision,
        device,
        walk or {},
    )
    return _mended("declip", audio, sample_rate, given, options, samples, regions, progress, threads)


def declick(
    audio: Samples,
    sample_rate: int,
    *,
    method: str = "auto",
    strength: float = 1.0,
    regions: Sequence[Seconds] = (),
    progress: Progress | None = None,
    threads: int | None = None,
) -> Samples:
    """Remove clicks and crackle. Samples that are not part of one stay as they are.

    Args:
        method: auto takes what measured best, which is ar: Janssen's autoregressive interpolation.

    The other arguments, the result and the errors are those of `declip`.
    """
    options = Options(method=method, strength=strength)
    return _mended("declick", audio, sample_rate, Given(), options, None, regions, progress, threads)


def inpaint(
    audio: Samples,
    sample_rate: int,
    *,
    gaps: Sequence[Seconds] = (),
    band: Sequence[Band] = (),
    method: str = "auto",
    model: str | Path | Prior | None = None,
    quality: str | None = None,
    steps: int | None = None,
    preset: str | None = None,
    guidance: str | None = None,
    solver: str | None = None,
    sampler: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    strength: float = 1.0,
    regions: Sequence[Seconds] = (),
    progress: Progress | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    walk: Mapping[str, object] | None = None,
) -> Samples:
    """Fill gaps. Samples outside them stay as they are.

    Args:
        gaps: (start, stop) in seconds; empty finds runs of digital silence inside the sound.
        band: (low, high) in Hz, one or more: only these bands are lost, in the gaps, or else in the regions;
            what the audio holds in them there is replaced, and the rest stays, to 80 dB. The two are mixed
            in the first and last 10 ms. Empty means all.
        method: auto takes what measured best; diffusion is the prior; janssen, a-spain and similarity need
            none, and none of the arguments that are about it. A band takes auto and diffusion.

    The other arguments, the result and the errors are those of `declip`.
    """
    frames = audio.shape[-1] if audio.ndim else 0
    bands = tuple((float(low), float(high)) for low, high in band)
    where = gaps or regions if bands else gaps
    given = Given(gaps=tuple(_intervals(where, sample_rate, frames, "gap")), bands=bands)
    options = Options(
        method,
        model,
        quality,
        steps,
        preset,
        guidance,
        solver,
        sampler,
        seed,
        strength,
        (),
        precision,
        device,
        walk or {},
    )
    return _mended("inpaint", audio, sample_rate, given, options, samples, regions, progress, threads)


def extend(
    audio: Samples,
    sample_rate: int,
    *,
    cutoff_hz: float | None = None,
    method: str = "auto",
    model: str | Path | Prior | None = None,
    quality: str | None = None,
    steps: int | None = None,
    preset: str | None = None,
    guidance: str | None = None,
    solver: str | None = None,
    sampler: str | None = None,
    seed: int = 0,
    samples: int | None = None,
    strength: float = 1.0,
    regions: Sequence[Seconds] = (),
    progress: Progress | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
    walk: Mapping[str, object] | None = None,
) -> Samples:
    """Invent the band above a cut-off. The band below it stays as it is, to 80 dB.

    Args:
        cutoff_hz: where the sound ends; None finds its edge.
        method: auto or diffusion is the prior, from a copied band; replication is that copy by itself.

    The other arguments, the result and the errors are those of `declip`.
    """
    given = Given(cutoff_hz=cutoff_hz)
    options = Options(
        method,
        model,
        quality,
        steps,
        preset,
        guidance,
        solver,
        sampler,
        seed,
        strength,
        (),
        precision,
        device,
        walk or {},
    )
    return _mended("extend", audio, sample_rate, given, options, samples, regions, progress, threads)


def restore(
    audio: Samples,
    sample_rate: int,
    *,
    plan: MendingPlan | None = None,
    only: Sequence[str] = (),
    skip: Sequence[str] = (),
    model: str | Path | Prior | None = None,
    quality: str | None = None,
    seed: int = 0,
    strength: float = 1.0,
    regions: Sequence[Seconds] = (),
    progress: Callable[[Stage, float], object] | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> tuple[Samples, Restoration]:
    """Find out what is wrong and mend it: clipping, an offset, clicks, gaps, a missing band, in this order.

    Args:
        plan: what to do, of `audiomend.restorers.plan`; None does what is found.
        only, skip: names of stages, instead of all that the plan has enabled: declip, offset, declick, gaps,
            band.
        progress: called with the stage and its share done, 0 to 1; returning False cancels.

    The other arguments and the errors are those of `declip`.

    Returns:
        mended audio of the same shape, dtype and library, equal to the input where nothing was mended; and
        what was found and done.
    """
    values, rows = _values_and_rows(audio, sample_rate)
    begun = time.monotonic()
    source = ArrayReader(rows, int(sample_rate))
    options = Options(
        model=model,
        quality=quality,
        seed=seed,
        strength=strength,
        regions=tuple(merge(_intervals(regions, sample_rate, source.frames, "region"))),
        precision=precision,
        device=device,
    )
    diagnosis = inspect(rows, sample_rate)
    plan = plan_of(diagnosis) if plan is None else plan
    check_plan(plan, "this array", (source.rate, source.channels, source.frames))
    wanted = stages_of(plan, only, skip)
    sink = ArraySink(rows)
    with _threads(threads):
        done, runs, residue_db = mend_stages(source, wanted, options, sink, progress)
    told = Restoration(
        diagnosis=diagnosis,
        plan=plan,
        done=done,
        left=tuple(stage for stage in plan.stages if stage not in wanted),
        intervals=tuple(runs.intervals),
        changed=runs.samples,
        residue_db=residue_db,
        seconds=time.monotonic() - begun,
    )
    return _as_given(_as_before(sink.samples, rows, values), audio), told


def mend_blocks(
    verb: str,
    blocks: Iterable[Array],
    sample_rate: int,
    options: Options | None = None,
    given: Given | None = None,
    progress: Progress | None = None,
) -> Iterator[Array]:
    """Blocks in, blocks out, for signals of any length.

    What must be known of the whole signal (level, clip level, cut-off) takes a first pass, so the blocks are
    kept in a temporary file; memory does not grow with their number.

    Args:
        verb: declip, declick, inpaint or extend.
        blocks: (channels, n) floats each, any n.
        sample_rate: in Hz.
        options, given: `audiomend.Options`, how it is done, and `audiomend.Given`, what is known of the
            damage, gaps in samples; None for the defaults.
        progress: as for `declip`.

    Yields:
        the mended signal, (channels, n) float64, in blocks of a second; as many samples as came in.

    Raises:
        UsageError: blocks of different channel counts, or what `declip` raises.
    """
    iterator = iter(blocks)
    first = next(iterator, None)
    if first is None:
        return
    rows = rows_of(first, sample_rate)
    with Spill(len(rows), np.float64) as kept, Spill(len(rows), np.float64) as mended:
        frames = _keep(kept, rows, 0)
        for block in iterator:
            block = rows_of(block, sample_rate)
            if len(block) != len(rows):
                raise UsageError(f"A block has {len(block)} channels, the first one has {len(rows)}.")
            frames = _keep(kept, block, frames)
        source = _Kept(kept, sample_rate, len(rows), frames)
        _restore(verb, source, mended, given or Given(), options or Options(), progress)
        for start in range(0, frames, sample_rate):
            stop = min(start + sample_rate, frames)
            new = mended.read(start, stop)
            yield np.where(np.isnan(new), source.read(start, stop), new)


@dataclass(frozen=True, eq=False)
class _Kept:
    """Blocks that wait in a temporary file, as a `SoundReader`."""

    spill: Spill
    rate: int
    channels: int
    frames: int

    def read(self, start: int, stop: int) -> Array:
        return self.spill.read(start, stop)


def _keep(spill: Spill, block: Array, position: int) -> int:
    if block.shape[1]:
        spill.add(position, block, np.ones(block.shape[1], np.bool_))
    return position + block.shape[1]


def _restore(
    verb: str,
    source: SoundReader,
    sink: Any,
    given: Given,
    options: Options,
    progress: Progress | None,
) -> None:
    check_names(verb, options)
    level = ActiveLevel(source.rate)
    looking = search(verb, given, source.rate, source.channels)
    for start in range(0, source.frames, SURVEY_FRAMES):
        samples = source.read(start, min(start + SURVEY_FRAMES, source.frames))
        for accumulator in (level, *looking.accumulators):
            accumulator.add(samples)
    found = looking.conclude()
    if found.damage is not None and level.rms > 0 and options.strength > 0:
        run(prepare(source, found.damage, level.gain, options), sink, progress)


def _mended(
    verb: str,
    audio: Samples,
    rate: int,
    given: Given,
    options: Options,
    samples: int | None,
    regions: Sequence[Seconds],
    progress: Progress | None,
    thread_count: int | None,
) -> Samples:
    values, rows = _values_and_rows(audio, rate)
    intervals = tuple(merge(_intervals(regions, rate, rows.shape[1], "region")))
    options = replace(options, regions=intervals)
    wanted = [options] if samples is None else draws(options, samples)
    with _threads(thread_count):
        results: list[Array] = []
        for number, chosen in enumerate(wanted):
            sink = ArraySink(rows)
            told = part(progress, number, len(wanted))
            _restore(verb, ArrayReader(rows, int(rate)), sink, given, chosen, told)
            results.append(_as_before(sink.samples, rows, values))
    return _as_given(results[0] if samples is None else np.stack(results), audio)


def _values_and_rows(audio: Array | torch.Tensor, rate: int) -> tuple[Array, Array]:
    """The audio as it is but of NumPy, and as `rows_of` has it."""
    values = audio.detach().cpu().numpy() if isinstance(audio, torch.Tensor) else np.asarray(audio)
    return values, rows_of(values, rate)


def _as_given(result: Array, audio: Samples) -> Samples:
    """Of the library that the audio came in."""
    if isinstance(audio, torch.Tensor):
        return torch.from_numpy(result).to(audio.device)
    return result  # pyright: ignore[reportReturnType]


def _as_before(mended: Array, rows: Array, values: Array) -> Array:
    """Mended rows in the shape and dtype of the input; samples that did not change are copied."""
    changed = (mended != rows).reshape(values.shape)
    result = values.copy()
    new = mended.reshape(values.shape)
    if values.dtype.kind == "i":
        limits = np.iinfo(values.dtype)
        new = np.clip(np.rint(new * -float(limits.min)), limits.min, limits.max)
    result[changed] = new[changed].astype(values.dtype)
    return result


def _intervals(spans: Sequence[Seconds], rate: int, frames: int, what: str) -> list[tuple[int, int]]:
    found: list[tuple[int, int]] = []
    for start, stop in spans:
        first, last = round(start * rate), round(stop * rate)
        if not 0 <= first < last <= frames:
            raise UsageError(
                f"The {what} from {start:g} to {stop:g} s does not lie inside the audio,"
                f" which lasts {frames / rate:g} s."
            )
        found.append((first, last))
    return found
