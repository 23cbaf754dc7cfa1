"""Methods that mend without a prior, by verb and name: functions of a damaged excerpt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from math import log2
from typing import cast

import torch
from torch import Tensor

from audiomend.audio.level import SIGMA_DATA
from audiomend.classical import ar_declip, social_sparsity, spade
from audiomend.operators import Operator
from audiomend.operators.hard_clip import HardClip

PUBLISHED_RATE, PUBLISHED_FRAME = 44_100, 8192  # of all declippers here


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of a damaged signal, its active sound at SIGMA_DATA.

    Attributes:
        observation: (rows, n) float32, the channels that are damaged here.
        operator: what happened to them, as `Damage.operator` gives it: a `HardClip`, a `Mask`.
        start: position in the file of the first sample; zeros stand for what lies outside the file.
        rate: in Hz.
    """

    observation: Tensor
    operator: Operator
    start: int
    rate: int


@dataclass(frozen=True)
class Method:
    """A restorer of excerpts.

    Attributes:
        mend: excerpt -> (rows, n) restored; only lost samples of it are used.
        words: rate -> its settings, for people.
        grid: rate -> samples; excerpts begin at multiples of it, so that frames fall where they fall in the
            whole file.
        margin_s: seconds that it is to see on either side of what it restores.
        longest_s: of what is restored at a time.
    """

    mend: Callable[[Excerpt], Tensor]
    words: Callable[[int], str]
    grid: Callable[[int], int]
    margin_s: float
    longest_s: float


def frame_at(rate: int) -> int:
    """The power of two nearest to the published frame's 186 ms."""
    return 2 ** round(log2(PUBLISHED_FRAME * rate / PUBLISHED_RATE))


def _spade(form: Callable[..., tuple[Tensor, Tensor]]) -> Method:
    def settings(rate: int) -> spade.Spade:
        return replace(spade.DEFAULT, window=frame_at(rate), rms=None)

    def mend(excerpt: Excerpt) -> Tensor:
        gain = _to_level(spade.DEFAULT.rms)
        return form(*_scaled(excerpt, gain), settings(excerpt.rate))[0] / gain

    def words(rate: int) -> str:
        chosen = settings(rate)
        return f"frames of {chosen.window}, {chosen.step} bins more after {chosen.every} iterations"

    return Method(mend, words, frame_at, margin_s=0.2, longest_s=4.0)


def _social(form: Callable[..., tuple[Tensor, Tensor]], default: social_sparsity.SocialSparsity) -> Method:
    def settings(rate: int) -> social_sparsity.SocialSparsity:
        # The tolerance is of the whole signal, so it would stop short excerpts earlier than long ones.
        return replace(default, window=frame_at(rate), rms=None, tolerance=0.0)

    def mend(excerpt: Excerpt) -> Tensor:
        gain = _to_level(default.rms)
        return form(*_scaled(excerpt, gain), settings(excerpt.rate))[0] / gain

    def words(rate: int) -> str:
        chosen = settings(rate)
        return f"frames of {chosen.window}, {chosen.thresholds} thresholds, {chosen.steps} steps at each"

    return Method(mend, words, frame_at, margin_s=1.0, longest_s=8.0)


def _autoregressive() -> Method:
    def settings(rate: int) -> ar_declip.ArDeclip:
        frame = frame_at(rate)
        return replace(ar_declip.DEFAULT, frame=frame, order=frame // 16)

    def mend(excerpt: Excerpt) -> Tensor:
        observation, clip = _scaled(excerpt, 1.0)
        return ar_declip.declipped(observation, clip.low, clip.high, settings(excerpt.rate))

    def words(rate: int) -> str:
        chosen = settings(rate)
        return f"frames of {chosen.frame}, order {chosen.order}, {chosen.iterations} iterations"

    return Method(mend, words, frame_at, margin_s=0.2, longest_s=4.0)


def _to_level(rms: float | None) -> float:
    return 1.0 if rms is None else rms / SIGMA_DATA


def _scaled(excerpt: Excerpt, gain: float) -> tuple[Tensor, HardClip]:
    clip = cast(HardClip, excerpt.operator)
    scale = torch.tensor(gain, dtype=excerpt.observation.dtype)
    low, high = clip.levels(excerpt.observation)
    return excerpt.observation * scale, HardClip(low * scale, high * scale)


METHODS: Mapping[str, Mapping[str, Method]] = {
    "declip": {
        "a-spade": _spade(spade.a_spade),
        "s-spade": _spade(spade.s_spade),
        "ss-ew": _social(social_sparsity.ss_ew, social_sparsity.DEFAULT_EW),
        "ss-pew": _social(social_sparsity.ss_pew, social_sparsity.DEFAULT),
        "ar": _autoregressive(),
    },
}


def names(verb: str) -> tuple[str, ...]:
    """What `method` may be for a verb: auto, diffusion, and the classical ones."""
    return ("auto", "diffusion", *METHODS.get(verb, {}))
