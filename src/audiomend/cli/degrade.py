"""degrade clip, softclip, lowpass, gap, dropout, click: damages whose truth is known, to try the verbs on."""

import functools
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomend.cli import batch, interrupts, mend, summary
from audiomend.cli.console import progress_bar, say, warn
from audiomend.cli.options import BATCH, ClipMode, Names, Settings, takes
from audiomend.errors import OptionError, UsageError
from audiomend.words import plural

if TYPE_CHECKING:
    from torch import Tensor

    from audiomend.audio.reader import SoundReader
    from audiomend.operators import Forward
    from audiomend.restorers.bands import Band
    from audiomend.restorers.batch import Done
    from audiomend.restorers.regions import Interval

EXAMPLE = (
    "Examples:\n\n  audiomend degrade clip clean.wav clipped.wav --sdr-db 5\n\n"
    "  audiomend degrade clip tapes/ -o clipped/ --sdr-db 7 --recursive --jobs 2"
)
DROPOUT_FADE_S = 0.002

Damaged = Callable[[int, int], Any]
"""The damaged samples, (channels, stop - start), of the frames start to stop."""
Plan = Callable[["SoundReader", str], tuple[Damaged, str]]
"""From the clean file and its name to its damage and what to call it."""

SdrDb = Annotated[
    float,
    typer.Option(
        metavar="DB",
        help="Signal-to-distortion ratio of the result, above 0 to 100 dB; the lower, the worse.",
    ),
]
Stretches = Annotated[
    list[str],
    typer.Option(
        metavar="START-STOP",
        help="Where: seconds (1.20-1.45), times (0:01:23.4-0:01:24) or an Audacity label file; repeatable.",
    ),
]

app = typer.Typer(
    help="Damage a clean recording in a known way, to try the verbs on.", no_args_is_help=True, epilog=EXAMPLE
)


@app.command(epilog=EXAMPLE)
@takes(Settings, *BATCH, "clip_mode", "force")
def clip(names: Names, *, settings: Settings, sdr_db: SdrDb = 5.0) -> None:
    """Clip hard, at the level that leaves a signal-to-distortion ratio.

    One level for all channels and both polarities; the file is read some ten times to find it.
    """
    _degrade("clip", names, settings, functools.partial(_clipped, sdr_db=sdr_db))


def _clipped(clean: "SoundReader", source: str, *, sdr_db: float) -> tuple[Damaged, str]:
    from audiomend.operators.hard_clip import HardClip, threshold_of_blocks

    _check_sounds(clean, f"{source} is silent: there is nothing to clip")
    level = threshold_of_blocks(lambda: _tensors(clean), sdr_db)
    damaged = _damaged(clean, lambda *_: HardClip(-level, level))
    return damaged, f"clipped at {level:.4f} of full scale, which leaves an SDR of {sdr_db:g} dB"


@app.command(epilog="Example:  audiomend degrade softclip clean.wav bent.wav --sdr-db 15")
@takes(Settings, *BATCH, "clip_mode", "force")
def softclip(names: Names, *, settings: Settings, sdr_db: SdrDb = 15.0) -> None:
    """Bend loud samples down, as a valve or a tape does, at the level that leaves an SDR.

    One level for all channels; the file is read some ten times to find it.
    """
    _degrade("softclip", names, settings, functools.partial(_bent, sdr_db=sdr_db))


def _bent(clean: "SoundReader", source: str, *, sdr_db: float) -> tuple[Damaged, str]:
    from audiomend.operators.soft_clip import SoftClip, level_for_sdr

    _check_sounds(clean, f"{source} is silent: there is nothing to bend")
    level = level_for_sdr(lambda: _tensors(clean), sdr_db)
    damaged = _damaged(clean, lambda *_: SoftClip(level))
    return damaged, f"bent towards {level:.4f} of full scale, which leaves an SDR of {sdr_db:g} dB"


@app.command(epilog="Example:  audiomend degrade click clean.wav scratched.wav --per-second 20 --level-db -5")
@takes(Settings, *BATCH, "clip_mode", "force")
def click(
    names: Names,
    *,
    settings: Settings,
    per_second: Annotated[
        float, typer.Option(metavar="CLICKS", help="Mean number of clicks in a second, above 0.")
    ] = 5.0,
    level_db: Annotated[
        float,
        typer.Option(
            metavar="DB",
            help="Peak of the loudest clicks over the RMS level of the file; the faintest are 20 dB lower.",
        ),
    ] = 15.0,
    seed: Annotated[int, typer.Option(metavar="NUMBER", help="Of places and shapes, 0 or more.")] = 0,
) -> None:
    """Put clicks on top of the sound, as scratches and dust on a record make them.

    Decaying noise of 0.02 to 1.4 ms at random places, the same in all channels.
    """
    if seed < 0:
        raise OptionError("seed", f"is {seed}; it must be 0 or more")
    plan = functools.partial(_scratched, per_second=per_second, level_db=level_db, seed=seed)
    _degrade("click", names, settings, plan)


def _scratched(
    clean: "SoundReader", source: str, *, per_second: float, level_db: float, seed: int
) -> tuple[Damaged, str]:
    from audiomend.operators.click import Clicks

    _check_sounds(clean, f"{source} is silent: clicks have no level to be measured by")
    energy = sum(float(block.square().sum()) for block in _tensors(clean))
    peak = (energy / (clean.frames * clean.channels)) ** 0.5 * 10 ** (level_db / 20)

    def clicks(start: int, stop: int) -> Clicks:
        return Clicks.random(start, stop, clean.rate, per_second, peak, seed)

    often = f"{per_second:g} clicks a second"
    return _damaged(clean, clicks), f"{often}, the loudest of {peak:.4f} of full scale"


@app.command(epilog="Example:  audiomend degrade dropout clean.wav worn.wav --gap 1.20-1.25 --depth-db 30")
@takes(Settings, *BATCH, "force")
def dropout(
    names: Names,
    *,
    settings: Settings,
    gap: Stretches,
    depth_db: Annotated[
        float, typer.Option(metavar="DB", help="By how much the level falls, above 0.")
    ] = 30.0,
) -> None:
    """Let the level fall for a moment, as where a tape leaves its head.

    It falls and rises within 2 ms, along a line of dB.
    """
    _degrade("dropout", names, settings, functools.partial(_worn, gap=gap, depth_db=depth_db))


def _worn(clean: "SoundReader", _: str, *, gap: Sequence[str], depth_db: float) -> tuple[Damaged, str]:
    from audiomend.operators.dropout import Dropout
    from audiomend.restorers.damage import near
    from audiomend.restorers.regions import parse_intervals

    every = parse_intervals(gap, clean.rate, clean.frames)
    fade = round(DROPOUT_FADE_S * clean.rate)

    def dropouts(start: int, stop: int) -> Dropout:
        return Dropout.at(near(every, start, stop), depth_db, fade, start, stop)

    return _damaged(clean, dropouts), f"{plural(len(every), 'dropout')} by {depth_db:g} dB"


@app.command(epilog="Example:  audiomend degrade lowpass clean.wav dull.wav --cutoff-hz 3000")
@takes(Settings, *BATCH, "clip_mode", "force")
def lowpass(
    names: Names,
    *,
    settings: Settings,
    cutoff_hz: Annotated[
        float,
        typer.Option(
            metavar="HZ", help="Where the level is down by 6 dB, from 20 Hz to below half the sample rate."
        ),
    ] = 4000.0,
) -> None:
    """Take away the treble with a linear-phase filter.

    Flat to 0.95 of the cut-off, 80 dB down from 1.05 of it on; nothing shifts in time.
    """
    _degrade("lowpass", names, settings, functools.partial(_dulled, cutoff_hz=cutoff_hz))


def _dulled(clean: "SoundReader", _: str, *, cutoff_hz: float) -> tuple[Damaged, str]:
    import torch

    from audiomend.operators.low_pass import LowPass
    from audiomend.restorers.memory import read_padded

    operator = LowPass(cutoff_hz, clean.rate)
    reach = len(operator.taps) // 2

    def damaged(start: int, stop: int) -> Any:
        samples = torch.from_numpy(read_padded(clean, start - reach, stop + reach))
        return operator.forward(samples)[:, reach : reach + stop - start].numpy()

    return damaged, f"nothing is left above {cutoff_hz:,.0f} Hz"


@app.command(
    epilog="Examples:\n\n  audiomend degrade gap clean.wav holed.wav --gap 1.20-1.45 --gap 3-3.05\n\n"
    "  audiomend degrade gap clean.wav holed.wav --band 2k-6k --gap 1.2-1.8"
)
@takes(Settings, *BATCH, "force")
def gap(
    names: Names,
    *,
    settings: Settings,
    gap: Stretches,
    band: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOW-HIGH",
            help="Take away only this band, in Hz (300-3400) or kHz (2k-6k); repeatable.",
            show_default="all of the sound",
        ),
    ] = None,
) -> None:
    """Put digital silence in the place of stretches, or take a band out of them."""
    _degrade("gap", names, settings, functools.partial(_holed, gap=gap, band=band or ()))


def _holed(clean: "SoundReader", _: str, *, gap: Sequence[str], band: Sequence[str]) -> tuple[Damaged, str]:
    from audiomend.operators.mask import Mask
    from audiomend.restorers.bands import parse_bands
    from audiomend.restorers.damage import near
    from audiomend.restorers.regions import parse_intervals

    gaps = parse_intervals(gap, clean.rate, clean.frames)
    seconds = sum(end - first for first, end in gaps) / clean.rate
    description = f"{plural(len(gaps), 'gap')}, {seconds:.3f} s together"
    if band:
        described = f"{description}, of the band {' and '.join(band)} only"
        return _emptied(clean, parse_bands(band), gaps), described

    def mask(start: int, stop: int) -> Mask:
        return Mask.from_gaps(near(gaps, start, stop), start, stop)

    return _damaged(clean, mask), description


def _emptied(clean: "SoundReader", bands: "tuple[Band, ...]", stretches: "list[Interval]") -> Damaged:
    """The bands taken out of the stretches, with fades inside their ends."""
    import numpy as np
    import torch

    from audiomend.operators.band_gap import BandPass
    from audiomend.restorers.damage import Boxes
    from audiomend.restorers.memory import read_padded

    boxes = Boxes(BandPass(bands, clean.rate), tuple(stretches))

    def signal(start: int, stop: int) -> torch.Tensor:
        return torch.from_numpy(read_padded(clean, start, stop))

    def damaged(start: int, stop: int) -> Any:
        samples = clean.read(start, stop)
        return np.where(boxes.lost(start, samples), boxes.warm(signal, start, stop).numpy(), samples)

    return damaged


def _damaged(clean: "SoundReader", operator: "Callable[[int, int], Forward]") -> Damaged:
    """What a damage does whose operator, of the frames start to stop, acts on each sample by itself."""
    import torch

    def damaged(start: int, stop: int) -> Any:
        return operator(start, stop).forward(torch.from_numpy(clean.read(start, stop))).numpy()

    return damaged


def _check_sounds(clean: "SoundReader", otherwise: str) -> None:
    if not any(block.any() for block in _tensors(clean)):
        raise UsageError(otherwise)


def _tensors(clean: "SoundReader") -> "Iterator[Tensor]":
    """The file in blocks, (channels, n)."""
    import torch

    from audiomend.audio.reader import blocks

    return (torch.from_numpy(clean.read(*block)) for block in blocks(clean))


def _degrade(
    damage: str, names: Sequence[str], settings: Settings, plan: "functools.partial[tuple[Damaged, str]]"
) -> None:
    if settings.output_dir is None:
        _degrade_one(*mend.in_and_out(names, settings), settings, plan)
        return
    batch.check(names, settings)
    from audiomend.restorers.batch import settings_sha256

    digest = settings_sha256(damage, plan.keywords, settings.clip_mode)
    work = functools.partial(degrade_file, plan, settings.clip_mode)
    batch.run(f"degrade {damage}", names, settings.output_dir, work, digest, settings, {"mended": "damaged"})


def _degrade_one(source: str, output: str, settings: Settings, plan: Plan) -> None:
    with interrupts.scratch(), progress_bar(f"Reading {source}") as bar:
        done = degrade_file(plan, settings.clip_mode, source, output, settings.force, bar.advance)
    for warning in done.warnings:
        warn(warning)
    say(done.message)


def degrade_file(
    plan: Plan,
    clip_mode: ClipMode,
    source: str | Path,
    output: str | Path,
    force: bool,
    progress: Callable[[float], None] = lambda _: None,
) -> "Done":
    """Damage a file, in whatever process; `progress` is told the share that is done."""
    import numpy as np

    from audiomend.audio.blocks import Spill, assemble
    from audiomend.audio.file import open_sound, sha256, survey
    from audiomend.audio.output import check_output
    from audiomend.audio.reader import blocks, by_position
    from audiomend.restorers.batch import Done

    begun = time.monotonic()
    with open_sound(source) as sound:
        target = check_output(output, sound, force=force, clip_mode=clip_mode)
        counted = survey(sound)
        with by_position(sound, counted.frames) as clean, Spill(sound.channels, np.float64) as spill:
            damaged, description = plan(clean, str(source))
            for start, stop in blocks(clean):
                samples = damaged(start, stop)
                spill.add(start, samples, samples != clean.read(start, stop))
                progress(stop / clean.frames)
            written = assemble(sound, counted, spill, target, clip_mode=clip_mode)
    return Done(
        message=f"{output}: {description}",
        changed=written.changed > 0,
        output_sha256="" if target.path is None else sha256(target.path),
        seconds=time.monotonic() - begun,
        warnings=(*counted.warnings, *summary.of_assembly(str(output), written)),
    )
