"""Sound out of nothing but the prior: what it takes for likely when nothing was observed."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from audiomend.audio.file import sha256
from audiomend.audio.formats import Format, from_float
from audiomend.audio.output import SoundWriter, check_new, destination, for_size
from audiomend.errors import Cancelled, OptionError, UsageError
from audiomend.models.prior import Prior
from audiomend.models.store import card_of
from audiomend.restorers.diffusion import PROCESS, windows_for
from audiomend.restorers.frame import Progress, threads
from audiomend.restorers.inverse import Unguided
from audiomend.restorers.options import Options
from audiomend.restorers.settings import way
from audiomend.restorers.way import WITHOUT_SOLVER, Way
from audiomend.samplers.base import Walk, seeded, silence
from audiomend.samplers.stream import stream
from audiomend.samplers.timeline import Timeline


def generate(
    seconds: float = 10.0,
    *,
    seed: int = 0,
    model: str | Path | Prior | None = None,
    quality: str | None = None,
    steps: int | None = None,
    preset: str | None = None,
    progress: Progress | None = None,
    precision: str = "auto",
    device: str = "auto",
    threads: int | None = None,
) -> tuple[NDArray[np.float32], int]:
    """A sample of the prior: sound that it takes for likely.

    Args:
        seconds: length, above 0.
        seed, model, quality, steps, preset, progress, precision, device, threads: as for `audiomend.declip`.

    Returns:
        (time,) samples at the prior's level, and its rate in Hz. They may go beyond full scale, 1.

    Raises:
        UsageError, ModelError, Cancelled: as `audiomend.declip`.
    """
    options = Options(
        model=model,
        quality=quality,
        steps=steps,
        preset=preset,
        seed=seed,
        precision=precision,
        device=device,
    )
    with _threads(threads):
        prior = options.prior()
        pieces = list(generated(prior, frames_of(seconds, prior.card.rate), options, progress))
    return np.concatenate(pieces), prior.card.rate


_threads = threads  # the argument of `generate` has its name


def frames_of(seconds: float, rate: int) -> int:
    """Samples of so many seconds.

    Raises:
        UsageError: not a number above 0, or less than a sample.
    """
    if not 0 < seconds < math.inf or round(seconds * rate) < 1:
        raise OptionError("seconds", f"is {seconds:g}; it must be above 0, and a sample or more.")
    return round(seconds * rate)


def way_of(options: Options) -> Way:
    """The probability-flow equation from noise alone, by UniPC, or a preset's walk without its guidance.

    Raises:
        UsageError: an unknown preset, or one whose sampler takes no solver.
    """
    chosen = way("generate", options.quality, options.steps, preset=options.preset)
    if chosen.sampler in WITHOUT_SOLVER:
        raise UsageError(f"The sampler {chosen.sampler} takes no solver, and generate walks by one.")
    return replace(chosen, warm=False, conditioned=False, guidance="none")


@torch.inference_mode()
def generated(
    prior: Prior, frames: int, options: Options, progress: Progress | None = None
) -> Iterator[NDArray[np.float32]]:
    """The samples in pieces (n,), in constant memory; together `frames` of them.

    Raises:
        Cancelled: `progress` returned False.
    """
    windows = windows_for(prior, prior.card.rate)
    chosen = way_of(options)
    problem = Unguided(prior, prior.card.rate, 1, options.seed)
    levels = chosen.levels(prior.card.sigma_data)
    walk = Walk(PROCESS, levels, chosen.stages, seeded(options.seed), windows)
    blocks = (torch.zeros(1, min(windows.hop, frames - start)) for start in range(0, frames, windows.hop))
    done = 0
    for piece in stream(blocks, Timeline(1), problem, walk, silence(1)):
        done += piece.shape[-1]
        if progress is not None and progress(done / frames) is False:
            raise Cancelled("The work was cancelled; nothing was written.")
        yield piece[0].float().numpy()


@dataclass(frozen=True)
class Generated:
    """A sound that was written.

    Attributes:
        model, precision, steps: what made it.
        rate, frames: in Hz and samples; one channel.
        format: container and number format.
        peak: greatest magnitude, full scale 1.
        clamped: samples beyond full scale that the format could not hold.
        sha256: of the file; empty for a pipe.
    """

    model: str
    precision: str
    steps: int
    rate: int
    frames: int
    format: Format
    peak: float
    clamped: int
    sha256: str


def generate_file(
    output: str, seconds: float, options: Options, *, force: bool = False, progress: Progress | None = None
) -> Generated:
    """Write a sample of the prior, in constant memory; the file appears when it is whole, or not at all.

    Raises:
        AudiomendError: whatever is wrong with the output, the options or the model.
        Cancelled: by `progress`.
    """
    chosen = way_of(options)
    model = options.model
    rate = (model.card if isinstance(model, Prior) else card_of(model)).rate  # before the work of loading
    target = check_new(output, rate, 1, force=force)
    frames = frames_of(seconds, rate)
    number_format = for_size(target.format, target.name, frames)
    prior = options.prior()
    peak, clamped = 0.0, 0
    with destination(target) as place:
        with SoundWriter(place.file, target.name, number_format, rate, 1, {}) as writer:
            for piece in generated(prior, frames, options, progress):
                beyond = np.abs(piece)
                peak = max(peak, float(beyond.max(initial=0.0)))
                clamped += 0 if number_format.holds_overs else int((beyond > 1).sum())
                writer.write(from_float(piece.astype(np.float64), number_format)[:, None])
        place.commit()
    digest = "" if target.path is None else sha256(target.path)
    steps = chosen.evaluations
    name, precision = prior.card.name, prior.precision
    return Generated(name, precision, steps, rate, frames, number_format, peak, clamped, digest)
