"""Methods that mend without a prior, by verb and name: functions of a damaged excerpt."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from math import inf, log2
from typing import Literal, cast

import torch
from torch import Tensor

from audiomend.audio.level import SIGMA_DATA
from audiomend.classical import (
    ar_declip,
    blend,
    janssen,
    replication,
    similarity,
    social_sparsity,
    spade,
    spain,
)
from audiomend.operators import Operator
from audiomend.operators.hard_clip import HardClip
from audiomend.operators.low_pass import LowPass
from audiomend.operators.mask import Mask
from audiomend.restorers.damage import Replaced
from audiomend.words import listed, plural

MANY_SHARE = 0.4  # of clipped samples: input SDRs of about 5 dB and less
PUBLISHED_RATE, PUBLISHED_FRAME = 44_100, 8192  # of all declippers here
PUBLISHED_SWEEP_S = (10.0, 30.0)  # margin and longest: a sound is to be seen as a whole, in 0.8 GB
MODELLED_S = 0.12  # longest gap that a model of what is around it can fill; the work grows with its cube

Fill = Callable[[Tensor, Tensor, int], Tensor]
"""(rows, n) signal, (n,) which samples are known, rate -> the signal with its gaps filled."""


@dataclass(frozen=True, eq=False)
class Excerpt:
    """A part of a damaged signal, its active sound at SIGMA_DATA.

    Attributes:
        observation: (rows, n) float32, the channels that are damaged here; for a method that is raw float64,
            at the file's own level.
        operator: what happened to them, as `Damage.operator` gives it: a `HardClip`, a `Mask`, a `Replaced`.
        start: position in the file of the first sample.
        rate: in Hz.
        severity: of the whole damage, see `Damage.severity`.
    """

    observation: Tensor
    operator: Operator
    start: int
    rate: int
    severity: float


@dataclass(frozen=True)
class Method:
    """A restorer of excerpts.

    Attributes:
        mend: excerpt -> (rows, n) restored; only lost samples of it are used.
        words: (rate, severity) -> its settings, for people.
        grid: rate -> samples; excerpts begin at multiples of it, so that frames fall where they fall in the
            whole file.
        margin_s: seconds that it is to see on either side of what it restores, where the file has them.
        longest_s: of what is restored at a time.
        beyond: of the grid, that it works on beyond the samples of an excerpt; they count in its time.
        most: severity of the damage that it can mend: for gaps, seconds of the longest.
        qualities: what stands for it at fast and at best; empty where its cost cannot be chosen.
        published: what stands for it with the settings of its paper; None where it has none.
        raw: it takes excerpts as the file has them, and what it gives is not made consistent.
    """

    mend: Callable[[Excerpt], Tensor]
    words: Callable[[int, float], str]
    grid: Callable[[int], int]
    margin_s: float
    longest_s: float
    beyond: int = 0
    qualities: Mapping[str, "Method"] = field(default_factory=dict[str, "Method"])
    most: float = inf
    published: "Method | None" = None
    raw: bool = False

    def at(self, quality: str | None) -> "Method":
        """The method at a quality; None and balanced are itself."""
        return self.qualities.get(quality or "", self)


def frame_at(rate: int) -> int:
    """The power of two nearest to the published frame's 186 ms."""
    return 2 ** round(log2(PUBLISHED_FRAME * rate / PUBLISHED_RATE))


def _spade(form: Callable[..., tuple[Tensor, Tensor]]) -> Method:
    def settings(rate: int, severity: float) -> spade.Spade:
        usual = spade.HEAVY if severity > MANY_SHARE else spade.DEFAULT
        return replace(usual, window=frame_at(rate), rms=None)

    def mend(excerpt: Excerpt) -> Tensor:
        chosen = settings(excerpt.rate, excerpt.severity)
        return _at_level(excerpt, spade.DEFAULT.rms, lambda y, clip: form(y, clip, chosen)[0])

    def words(chosen: spade.Spade) -> str:
        return f"frames of {chosen.window}, k grows by {chosen.step} in {chosen.every} iterations"

    published = _declipping_as_published(
        lambda y, clip: form(y, clip, spade.PUBLISHED)[0], words(spade.PUBLISHED)
    )
    return Method(
        mend,
        lambda rate, severity: words(settings(rate, severity)),
        frame_at,
        margin_s=0.2,
        longest_s=4.0,
        published=published,
    )


def _social(form: Callable[..., tuple[Tensor, Tensor]], overlaps: Literal[2, 4]) -> Method:
    def settings(rate: int, severity: float) -> social_sparsity.SocialSparsity:
        usual = social_sparsity.HEAVY if severity > MANY_SHARE else social_sparsity.DEFAULT
        start = usual.start and replace(usual.start, rate=rate)
        return replace(usual, start=start, overlaps=overlaps, window=frame_at(rate), rms=None)

    def mend(excerpt: Excerpt) -> Tensor:
        chosen = settings(excerpt.rate, excerpt.severity)
        return _at_level(excerpt, social_sparsity.DEFAULT.rms, lambda y, clip: form(y, clip, chosen)[0])

    def words(rate: int, severity: float) -> str:
        chosen = settings(rate, severity)
        first = chosen.start.steps if chosen.start else 0
        return (
            f"frames of {chosen.window}, {first} steps of a falling threshold, {chosen.thresholds} of descent"
        )

    as_published = social_sparsity.PUBLISHED
    published = _declipping_as_published(
        lambda y, clip: form(y, clip, as_published)[0],
        f"frames of {as_published.window}, {as_published.thresholds} thresholds of up to"
        f" {as_published.steps} steps each",
        *PUBLISHED_SWEEP_S,
    )
    return Method(mend, words, frame_at, margin_s=1.0, longest_s=8.0, beyond=2, published=published)


def _autoregressive() -> Method:
    def settings(rate: int) -> ar_declip.ArDeclip:
        frame = frame_at(rate)
        return replace(ar_declip.DEFAULT, frame=frame, order=frame // 16)

    def mend(excerpt: Excerpt) -> Tensor:
        def restore(y: Tensor, clip: HardClip) -> Tensor:
            return ar_declip.declipped(y, clip.low, clip.high, settings(excerpt.rate))

        return _at_level(excerpt, SIGMA_DATA, restore)

    def words(chosen: ar_declip.ArDeclip) -> str:
        return f"frames of {chosen.frame}, order {chosen.order}, {chosen.iterations} iterations"

    published = _declipping_as_published(
        lambda y, clip: ar_declip.declipped(y, *clip.levels(y), ar_declip.PUBLISHED),
        words(ar_declip.PUBLISHED),
    )
    return Method(
        mend,
        lambda rate, severity: words(settings(rate)),
        frame_at,
        margin_s=0.2,
        longest_s=4.0,
        published=published,
    )


def _declipping_as_published(
    restore: Callable[[Tensor, HardClip], Tensor], words: str, margin_s: float = 0.2, longest_s: float = 4.0
) -> Method:
    def mend(excerpt: Excerpt) -> Tensor:
        return restore(excerpt.observation, cast(HardClip, excerpt.operator))

    method = Method(mend, lambda rate, severity: words, frame_at, margin_s, longest_s)
    return _as_published(method, PUBLISHED_FRAME)


def _as_published(method: Method, grid: int) -> Method:
    """It on float64 samples at the file's own level.

    grid: samples, at any rate; as many as a frame or a gap's context, so that a margin holds one.
    """
    return replace(
        method,
        words=lambda rate, severity: f"as published: {method.words(rate, severity)}",
        grid=lambda rate: grid,
        raw=True,
    )


def _blend(light: blend.Blend, heavy: blend.Blend, **qualities: Method) -> Method:
    def settings(rate: int, severity: float) -> blend.Blend:
        chosen = heavy if severity > MANY_SHARE else light
        return replace(chosen, window=frame_at(rate), rate=rate, rms=None)

    def mend(excerpt: Excerpt) -> Tensor:
        chosen = settings(excerpt.rate, excerpt.severity)
        return _at_level(excerpt, light.rms, lambda y, clip: blend.blended(y, clip, chosen))

    def words(rate: int, severity: float) -> str:
        chosen = settings(rate, severity)
        frames = sorted({chosen.window // shorter for shorter, _ in chosen.hard + chosen.soft})
        falls = f"a threshold that falls in frames of {listed(frames)}, {chosen.steps} steps in each"
        short = sorted(chosen.window // shorter for shorter in chosen.short)
        moving = f"where partials move, A-SPADE in frames of {listed(short)}"
        if not chosen.long:
            return f"{falls}; {moving}"
        long = sorted(round(chosen.window * longer) for longer in chosen.long)
        steps = f"{chosen.sweep.thresholds} steps in each"
        return f"{falls}; social sparsity in frames of {listed(long)}, {steps}; {moving}"

    return Method(mend, words, frame_at, margin_s=0.6, longest_s=8.0, beyond=2, qualities=qualities)


def _janssen(settings: Callable[[int], janssen.Janssen], margin_s: float, longest_s: float) -> Method:
    def fill(x: Tensor, known: Tensor, rate: int) -> Tensor:
        return janssen.interpolated(x, known, settings(rate))

    def words(rate: int, severity: float) -> str:
        del severity
        chosen = settings(rate)
        sides = f"{chosen.context} samples on either side"
        return f"order {chosen.order}, {sides}, {plural(chosen.iterations, 'iteration')}"

    return Method(_gaps(fill), words, _tenth, margin_s, longest_s)


def _gaps_by_janssen(iterations: int, **qualities: Method) -> Method:
    def settings(rate: int) -> janssen.Janssen:
        return janssen.Janssen(frame_at(rate) // 8, frame_at(rate) // 2, iterations)

    method = _janssen(settings, margin_s=0.2, longest_s=10.0)
    published = _janssen(lambda rate: janssen.PUBLISHED, margin_s=0.2, longest_s=10.0)
    published = _as_published(replace(published, most=MODELLED_S), janssen.PUBLISHED.context)
    return replace(method, qualities=qualities, most=MODELLED_S, published=published)


def _clicks() -> Method:
    def settings(rate: int) -> janssen.Janssen:
        return janssen.Janssen(frame_at(rate) // 64, frame_at(rate) // 8, iterations=2)

    return _janssen(settings, margin_s=0.1, longest_s=2.0)


def _a_spain() -> Method:
    def settings(rate: int) -> spain.Spain:
        return replace(spain.DEFAULT, window=frame_at(rate) // 2)

    published = _as_published(_by_a_spain(lambda rate: spain.PUBLISHED), spain.PUBLISHED.window)
    return replace(_by_a_spain(settings), published=published)


def _by_a_spain(settings: Callable[[int], spain.Spain]) -> Method:
    def fill(x: Tensor, known: Tensor, rate: int) -> Tensor:
        return spain.interpolated(x, known, settings(rate))

    def words(rate: int, severity: float) -> str:
        del severity
        return f"frames of {settings(rate).window}, one bin more after each iteration"

    return Method(_gaps(fill), words, _tenth, margin_s=0.2, longest_s=10.0, most=MODELLED_S)


def _similarity() -> Method:
    settings = similarity.Similarity()

    def fill(x: Tensor, known: Tensor, rate: int) -> Tensor:
        return similarity.interpolated(x, known, rate, settings)

    def words(rate: int, severity: float) -> str:
        del rate, severity
        return f"searched for {settings.reach_s:g} s on either side, fades of {1000 * settings.fade_s:g} ms"

    margin_s = settings.reach_s + settings.context_s
    return Method(_gaps(fill), words, _tenth, margin_s, longest_s=60.0)


def _replication() -> Method:
    def mend(excerpt: Excerpt) -> Tensor:
        x, replaced = excerpt.observation, cast(Replaced, excerpt.operator)
        cutoff_hz = cast(LowPass, replaced.filter).cutoff_hz
        band = replication.replicated(x, excerpt.rate, cutoff_hz, excerpt.start)
        return replaced.project(x + band, x)

    def words(rate: int, severity: float) -> str:
        del rate, severity
        return "the upper half of the known band, whitened, on the envelope's line"

    return Method(mend, words, _tenth, margin_s=0.5, longest_s=10.0)


def _gaps(fill: Fill) -> Callable[[Excerpt], Tensor]:
    """Channels that miss the same samples are filled together."""

    def mend(excerpt: Excerpt) -> Tensor:
        known = cast(Mask, excerpt.operator).known
        x, rate = excerpt.observation, excerpt.rate
        if (known == known[:1]).all():
            return fill(x, known[0], rate)
        return torch.cat([fill(x[i : i + 1], known[i], rate) for i in range(len(x))])

    return mend


def _tenth(rate: int) -> int:
    return max(rate // 10, 1)


def _at_level(excerpt: Excerpt, rms: float | None, restore: Callable[[Tensor, HardClip], Tensor]) -> Tensor:
    """Restore an excerpt, active sound at `rms`, and keep its peaks from running away."""
    clip = cast(HardClip, excerpt.operator)
    gain = torch.tensor(1.0 if rms is None else rms / SIGMA_DATA, dtype=excerpt.observation.dtype)
    low, high = clip.levels(excerpt.observation)
    restored = restore(excerpt.observation * gain, HardClip(low * gain, high * gain)) / gain
    return clip.project(restored, excerpt.observation)


METHODS: Mapping[str, Mapping[str, Method]] = {
    "declip": {
        "a-spade": _spade(spade.a_spade),
        "s-spade": _spade(spade.s_spade),
        "ss-ew": _social(social_sparsity.ss_ew, overlaps=4),  # it averages nothing, and gains 0.4 dB
        "ss-pew": _social(social_sparsity.ss_pew, overlaps=2),
        "ar": _autoregressive(),
        "blend": _blend(
            blend.BALANCED,
            blend.HEAVY,
            fast=_blend(blend.FAST, blend.HEAVY_FAST),
            best=_blend(blend.BEST, blend.HEAVY_BEST),
        ),
    },
    "extend": {"replication": _replication()},
    "inpaint": {
        "janssen": _gaps_by_janssen(2, fast=_gaps_by_janssen(1)),
        "a-spain": _a_spain(),
        "similarity": _similarity(),
    },
    "declick": {"ar": _clicks()},
}
AUTO = {"declip": "blend", "declick": "ar", "extend": "replication"}  # what measured best (docs/choices.md)
WITHOUT_PRIOR = ("declick",)
INVERSE, SUBTRACTION = "inverse curve", "subtraction"  # methods by which nothing is invented


def invents(method: str) -> bool:
    """Whether a method, in words, puts something where sound was lost."""
    return method not in (INVERSE, SUBTRACTION)


def names(verb: str) -> tuple[str, ...]:
    """What `method` may be for a verb: auto, diffusion, and the classical ones."""
    prior = () if verb in WITHOUT_PRIOR else ("diffusion",)
    return ("auto", *prior, *METHODS.get(verb, {}))
