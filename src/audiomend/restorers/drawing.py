"""Posterior samples: plausible signals that fit what was observed, instead of the most accurate one.

What the verbs do by themselves is an estimate: momentum, few and low noise levels. A sample starts from noise
alone, high above the sound, and follows the probability-flow equation: how much such samples differ from each
other tells what is not known. On a Gaussian whose posterior is known their spread is within a tenth of the
right one from 16 evaluations on (tests/test_drawing.py); 8 make it a fifth too wide.
"""

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

from audiomend.errors import UsageError
from audiomend.restorers.frame import Options, Progress

DRAWING: Mapping[str, object] = MappingProxyType(
    {
        "start": 10.0,
        "end": 0.003,
        "rho": 5.0,
        "solver": "unipc",
        "warm": False,
        "conditioned": True,
    }
)
"""The fields of `Way` that make an estimate a draw, for every verb."""


def draws(options: Options, samples: int) -> list[Options]:
    """The options of so many posterior samples: the seeds from that of `options` on, and a walk that draws.

    A preset's walk stays its own: most published restorers draw. What the user chose goes before both.

    Raises:
        UsageError: fewer than one sample, or a seed that is too large.
    """
    if samples < 1:
        raise UsageError(f"{samples} posterior samples are too few: at least 1.")
    usual = DRAWING if options.preset is None else {}
    walk = {**usual, **options.changes}
    return [replace(options, seed=options.seed + number, walk=walk) for number in range(samples)]


def part(progress: Progress | None, number: int, count: int) -> Progress | None:
    """The progress of job `number` of `count` that take equally long."""
    return None if progress is None else lambda share: progress((number + share) / count)
