"""Posterior samples: plausible signals that fit what was observed, instead of the most accurate one."""

from dataclasses import replace

from audiomend.errors import OptionError
from audiomend.restorers.frame import Progress
from audiomend.restorers.options import Options
from audiomend.restorers.presets import PUBLISHED


def draws(options: Options, samples: int) -> list[Options]:
    """The options of so many posterior samples: the seeds from that of `options` on, and a walk that draws.

    A preset's walk stays its own: most published restorers draw. What the user chose goes before both.

    Raises:
        UsageError: fewer than one sample, or a seed that is too large.
    """
    if samples < 1:
        raise OptionError("samples", f"is {samples}; it must be 1 or more.")
    draw = options.preset in (None, PUBLISHED)
    return [replace(options, seed=options.seed + number, draw=draw) for number in range(samples)]


def part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """The progress of job `number` of `count` that take equally long."""
    return None if progress is None else lambda share: progress((number + share) / count)
