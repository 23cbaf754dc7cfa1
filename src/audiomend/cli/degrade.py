"""degrade clip, softclip, lowpass, gap, dropout, click: damages whose truth is known, to try the verbs on."""

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Annotated, Any

import typer

from audiomend.cli import interrupts, summary
from audiomend.cli.console import progress_bar, say, warn
from audiomend.cli.options import ClipMode, Force, Output, Source
from audiomend.errors import OptionError, UsageError
from audiomend.words import plural

if TYPE_CHECKING:
    from torch import Tensor

    from audiomend.audio.reader import SoundReader
    from audiomend.operators import Forward
    from audiomend.restorers.bands import Band
    from audiomend.restorers.regions import Interval

EXAMPLE = "Example:  audiomend degrade clip clean.wav clipped.wav --sdr-db 5"
DROPOUT_FADE_S = 0.002

Damaged = Callable[[int, int], Any]
"""The damaged samples, (channels, stop - start), of the frames start to stop."""
Plan = Callable[["SoundReader"], tuple[Damaged, str]]
"""From the clean file to its damage and what to call it."""

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
def clip(
    source: Source,
    output: Output,
    sdr_db: SdrDb = 5.0,
    clip_mode: ClipMode = "rescale",
    force: Force = False,
) -> None:
    """Clip hard, at the level that leaves a signal-to-distortion ratio.

    One level for all channels and both polarities; the file is read some ten times to find it.
    """

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
        from audiomend.operators.hard_clip import HardClip, threshold_of_blocks

        _check_sounds(clean, f"{source} is silent: there is nothing to clip")
        level = threshold_of_blocks(lambda: _tensors(clean), sdr_db)
        damaged = _damaged(clean, lambda *_: HardClip(-level, level))
        return damaged, f"clipped at {level:.4f} of full scale, which leaves an SDR of {sdr_db:g} dB"

    _degrade(source, output, clip_mode, force, plan)


@app.command(epilog="Example:  audiomend degrade softclip clean.wav bent.wav --sdr-db 15")
def softclip(
    source: Source,
    output: Output,
    sdr_db: SdrDb = 15.0,
    clip_mode: ClipMode = "rescale",
    force: Force = False,
) -> None:
    """Bend loud samples down, as a valve or a tape does, at the level that leaves an SDR.

    One level for all channels; the file is read some ten times to find it.
    """

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
        from audiomend.operators.soft_clip import SoftClip, level_for_sdr

        _check_sounds(clean, f"{source} is silent: there is nothing to bend")
        level = level_for_sdr(lambda: _tensors(clean), sdr_db)
        damaged = _damaged(clean, lambda *_: SoftClip(level))
        return damaged, f"bent towards {level:.4f} of full scale, which leaves an SDR of {sdr_db:g} dB"

    _degrade(source, output, clip_mode, force, plan)


@app.command(epilog="Example:  audiomend degrade click clean.wav scratched.wav --per-second 20 --level-db -5")
def click(
    source: Source,
    output: Output,
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
    clip_mode: ClipMode = "rescale",
    force: Force = False,
) -> None:
    """Put clicks on top of the sound, as scratches and dust on a record make them.

    Decaying noise of 0.02 to 1.4 ms at random places, the same in all channels.
    """

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
        from audiomend.operators.click import Clicks

        if seed < 0:
            raise OptionError("seed", f"is {seed}; it must be 0 or more")
        _check_sounds(clean, f"{source} is silent: clicks have no level to be measured by")
        energy = sum(float(block.square().sum()) for block in _tensors(clean))
        peak = (energy / (clean.frames * clean.channels)) ** 0.5 * 10 ** (level_db / 20)

        def clicks(start: int, stop: int) -> Clicks:
            return Clicks.random(start, stop, clean.rate, per_second, peak, seed)

        often = f"{per_second:g} clicks a second"
        return _damaged(clean, clicks), f"{often}, the loudest of {peak:.4f} of full scale"

    _degrade(source, output, clip_mode, force, plan)


@app.command(epilog="Example:  audiomend degrade dropout clean.wav worn.wav --gap 1.20-1.25 --depth-db 30")
def dropout(
    source: Source,
    output: Output,
    gap: Stretches,
    depth_db: Annotated[
        float, typer.Option(metavar="DB", help="By how much the level falls, above 0.")
    ] = 30.0,
    force: Force = False,
) -> None:
    """Let the level fall for a moment, as where a tape leaves its head.

    It falls and rises within 2 ms, along a line of dB.
    """

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
        from audiomend.operators.dropout import Dropout
        from audiomend.restorers.damage import near
        from audiomend.restorers.regions import parse_intervals

        every = parse_intervals(gap, clean.rate, clean.frames)
        fade = round(DROPOUT_FADE_S * clean.rate)

        def dropouts(start: int, stop: int) -> Dropout:
            return Dropout.at(near(every, start, stop), depth_db, fade, start, stop)

        return _damaged(clean, dropouts), f"{plural(len(every), 'dropout')} by {depth_db:g} dB"

    _degrade(source, output, "rescale", force, plan)


@app.command(epilog="Example:  audiomend degrade lowpass clean.wav dull.wav --cutoff-hz 3000")
def lowpass(
    source: Source,
    output: Output,
    cutoff_hz: Annotated[
        float,
        typer.Option(
            metavar="HZ", help="Where the level is down by 6 dB, from 20 Hz to below half the sample rate."
        ),
    ] = 4000.0,
    clip_mode: ClipMode = "rescale",
    force: Force = False,
) -> None:
    """Take away the treble with a linear-phase filter.

    Flat to 0.95 of the cut-off, 80 dB down from 1.05 of it on; nothing shifts in time.
    """

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
        import torch

        from audiomend.operators.low_pass import LowPass
        from audiomend.restorers.memory import read_padded

        operator = LowPass(cutoff_hz, clean.rate)
        reach = len(operator.taps) // 2

        def damaged(start: int, stop: int) -> Any:
            samples = torch.from_numpy(read_padded(clean, start - reach, stop + reach))
            return operator.forward(samples)[:, reach : reach + stop - start].numpy()

        return damaged, f"nothing is left above {cutoff_hz:,.0f} Hz"

    _degrade(source, output, clip_mode, force, plan)


@app.command(
    epilog="Examples:\n\n  audiomend degrade gap clean.wav holed.wav --gap 1.20-1.45 --gap 3-3.05\n\n"
    "  audiomend degrade gap clean.wav holed.wav --band 2k-6k --gap 1.2-1.8"
)
def gap(
    source: Source,
    output: Output,
    gap: Stretches,
    band: Annotated[
        list[str] | None,
        typer.Option(
            metavar="LOW-HIGH",
            help="Take away only this band, in Hz (300-3400) or kHz (2k-6k); repeatable.",
            show_default="all of the sound",
        ),
    ] = None,
    force: Force = False,
) -> None:
    """Put digital silence in the place of stretches, or take a band out of them."""

    def plan(clean: "SoundReader") -> tuple[Damaged, str]:
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

    _degrade(source, output, "rescale", force, plan)


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


def _degrade(source: str, output: str, clip_mode: ClipMode, force: bool, plan: Plan) -> None:
    import numpy as np

    from audiomend.audio.blocks import Spill, assemble
    from audiomend.audio.file import open_sound, survey
    from audiomend.audio.output import check_output
    from audiomend.audio.reader import blocks, by_position

    with (
        interrupts.scratch(),
        open_sound(source) as sound,
        progress_bar(f"Reading {source}") as bar,
    ):
        target = check_output(output, sound, force=force, clip_mode=clip_mode)
        counted = survey(sound)
        with by_position(sound, counted.frames) as clean, Spill(sound.channels, np.float64) as spill:
            damaged, description = plan(clean)
            for start, stop in blocks(clean):
                samples = damaged(start, stop)
                spill.add(start, samples, samples != clean.read(start, stop))
                bar.advance(stop / clean.frames)
            written = assemble(sound, counted, spill, target, clip_mode=clip_mode)
    for warning in [*counted.warnings, *summary.of_assembly(output, written)]:
        warn(warning)
    say(f"{output}: {description}")
