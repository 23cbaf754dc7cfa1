"""Soft clipping undone: the curve that bent a sound, estimated from the sound alone, and its inverse.

A curve without memory makes overtones and sums and differences of what goes through it, and these fill the
valleys of the spectrum. Let y = f(x) and g = f⁻¹. If the frames of x are Gaussian, with a spectrum each, the
likelihood of y is that of g(y) times the slope g'(y), and the innovation of a spectrum S has the variance
exp(mean ln S) (Kolmogorov). So the curve is the one with the least

    J(g) = mean over frames and bins of ½ ln |STFT(g(y))|² - mean of ln g'(y),

the entropy rate that Taleb, Solé-Casals and Jutten minimise with a whitening filter ("Quasi-nonparametric
blind inversion of Wiener systems", 2001). A factor on g changes nothing, so the level is that of the faint
samples, which no curve bends. Here f is one of a few families with one free level each: more freedom would be
lost at the top, where samples are few and an error costs most. Each polarity has a level of its own only
where that makes a sound clearly likelier.

A sound may have a lower J after a curve by chance, too. But a true curve fits in time: if what its inverse
adds comes a moment too early or too late, it fills valleys instead of emptying them.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import exp, inf, log, pi
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from audiomend.errors import UsageError

Floats = NDArray[np.float64]
Name = Literal["tanh", "arctan", "root", "knee", "cubic"]

FRAME = 2048  # samples of a spectrum
FRAMES = 48  # that are looked at, the loudest
CALM = 1.5  # times the median of their peaks: clicks that came upon the curve since go beyond it
FEWEST = 8  # with less than that nothing is told
NEAR, FEWEST_PASSING = 0.9, 0.005  # of a peak, and share of samples below: a square wave has fewer
FLOOR = 2.0**-30 / 12  # power of rounding to 16 bits, full scale 1: no valley is deeper
NEAREST, FARTHEST = 1e-5, 5.0  # a level is sought so far above the peak, relative to it
COARSE, FINE = 20, 12  # levels that are tried, and steps of the golden section between the best ones
STRIDE, EXACT = 2.0, 1e-3  # first and last step towards levels of either polarity, in logarithms of a place
UNEVEN, LEAST_UNEVEN = 1.25, 0.003  # times J of one level, and less than it: levels of their own are true
GLANCED = (0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # levels that every third frame is tried with before all that
GOLDEN = (5**0.5 - 1) / 2
SHIFTS_S = (3e-4, 6e-4, 1e-3)  # by which an addition is displaced, to either side
PROMISING = -0.002  # J of a curve that is worth a second look
MOST = 1 - 1e-9  # of a level: an inverse has no value there
FLAT = 300.0  # slope of an inverse from which a sample is bounded, not known


@dataclass(frozen=True)
class Curve:
    """A family of curves: level · f(x / level) with f(±∞) = ±1, f'(0) = 1, the same for both polarities.

    Attributes:
        inverse: f⁻¹(u), -1 < u < 1.
        log_slope: ln of its derivative, 0 at 0 and rising with |u|.
    """

    inverse: Callable[[Floats], Floats]
    log_slope: Callable[[Floats], Floats]


def _cubic(u: Floats) -> Floats:
    """Of f(x) = x - 4 x³ / 27 up to 1.5, where it is flat."""
    return 3 * np.sin(np.arcsin(u) / 3)


CURVES: Mapping[Name, Curve] = {
    "tanh": Curve(np.arctanh, lambda u: -np.log1p(-u * u)),
    "arctan": Curve(lambda u: np.tan(pi / 2 * u) * 2 / pi, lambda u: -2 * np.log(np.cos(pi / 2 * u))),
    "root": Curve(lambda u: u / np.sqrt(1 - u * u), lambda u: -1.5 * np.log1p(-u * u)),  # x / √(1 + x²)
    "knee": Curve(lambda u: u * (1 - u**4) ** -0.25, lambda u: -1.25 * np.log1p(-(u**4))),  # x / ⁴√(1 + x⁴)
    "cubic": Curve(_cubic, lambda u: -np.log1p(-np.square(_cubic(u) / 1.5))),
}
GLANCED_AT: tuple[Name, ...] = ("tanh", "knee", "cubic")  # one of these is near to each of the others


@dataclass(frozen=True)
class Bend:
    """The curve that a channel went through.

    Attributes:
        curve: a name of CURVES.
        level: that the curve tends to, above 0.
        below: magnitude that it tends to below 0, above 0; None if that is the level, too.

    Raises:
        UsageError: level or below is not above 0.
    """

    curve: Name
    level: float
    below: float | None = None

    def __post_init__(self) -> None:
        if not 0 < self.level < inf:
            raise UsageError(f"Bend: level is {self.level:g}; it must be above 0.")
        if self.below is not None and not 0 < self.below < inf:
            raise UsageError(f"Bend: below is {self.below:g}; it must be above 0.")

    @property
    def low(self) -> float:
        """Level that the curve tends to below 0."""
        return -self.level if self.below is None else -self.below

    def levels(self, y: Floats) -> Floats | float:
        """Magnitude that the curve tends to at each sample."""
        return self.level if self.below is None else np.where(y > 0, self.level, self.below)

    @property
    def top(self) -> float:
        """Share of the levels up to which samples tell what they were; from there on they are flat."""
        low, high = 0.0, MOST
        for _ in range(60):
            middle = (low + high) / 2
            steep = float(CURVES[self.curve].log_slope(np.array([middle]))[0]) > log(FLAT)
            low, high = (low, middle) if steep else (middle, high)
        return low

    def straightened(self, y: Floats) -> Floats:
        """What y was before the curve; of flat samples, the least that they were."""
        top, levels = self.top, self.levels(y)
        return levels * CURVES[self.curve].inverse(np.clip(y / levels, -top, top))

    @property
    def flat(self) -> tuple[float, float]:
        """What flat samples were at most below 0, and at least above."""
        lowest, highest = self.straightened(np.array([self.low, self.level])).tolist()
        return lowest, highest

    @property
    def towards(self) -> str:
        """The levels in words."""
        return f"{self.level:.4g}" if self.below is None else f"{self.low:.4g} and {self.level:.4g}"


@dataclass(frozen=True)
class Fit:
    """How well a curve explains a sound.

    Attributes:
        bend: the curve.
        entropy: J with it minus J without, nats a sample; the lower, the likelier.
        displaced: the same with what the curve adds displaced: hardly lower, if the curve is true.
    """

    bend: Bend
    entropy: float
    displaced: float


def loudest(frames: Floats) -> Floats:
    """Those FRAMES of (n, size) samples that have the most energy, in the order of it."""
    energy = np.square(frames).sum(axis=1)
    return frames[np.argsort(-energy, kind="stable")[:FRAMES]]


def fitted(frames: Floats, sample_rate: float) -> Fit | None:
    """The curve that bent these frames, (n, FRAME), if one makes them likelier.

    The fit says how much likelier: from what on it is true is for the caller to say.
    """
    peaks = np.abs(frames).max(axis=1, initial=0)
    if not len(frames) or (np.abs(frames) < NEAR * peaks[:, None]).mean() < FEWEST_PASSING:
        return None
    calm = frames[peaks <= CALM * np.median(peaks)]
    chosen = [frames] if len(calm) == len(frames) else [frames, calm]
    fits = [_fit(some, sample_rate) for some in chosen if len(some) >= FEWEST and some.any()]
    found = [fit for fit in fits if fit is not None]
    return max(found, key=lambda fit: fit.displaced - fit.entropy, default=None)


def gained(frames: Floats, bend: Bend) -> float:
    """J with this very curve minus J without, of frames (n, size) in which it made nothing flat.

    Infinity if there are too few of them to tell.
    """
    if len(frames) < FEWEST or not frames.any():
        return inf
    return _bent_entropy(frames, bend) - _entropy(frames)


def _fit(frames: Floats, sample_rate: float) -> Fit | None:
    if _glance(frames[::3]) > PROMISING:
        return None
    found = [_best(frames, name) for name in CURVES]
    entropy, bend = min(found, key=lambda one: one[0])
    before = _entropy(frames)
    least = min(UNEVEN * (entropy - before), entropy - before - LEAST_UNEVEN) + before
    if frames.min() < 0 < frames.max() and _uneven(frames, bend)[0] < least:
        entropy, bend = min((_uneven(frames, one) for _, one in found), key=lambda one: one[0])
    return Fit(bend, entropy - before, _displaced(frames, bend, sample_rate) - before)


def _glance(frames: Floats) -> float:
    """The least J of some curves, minus J without one."""
    peak = float(np.abs(frames).max())
    bends = [Bend(name, peak * (1 + above)) for name in GLANCED_AT for above in GLANCED]
    return min(_bent_entropy(frames, bend) for bend in bends) - _entropy(frames)


def _best(frames: Floats, name: Name) -> tuple[float, Bend]:
    """The least J of a family, and the bend that has it."""
    peak = float(np.abs(frames).max())

    def at(place: float) -> Bend:
        return Bend(name, peak * (1 + exp(place)))

    places = np.linspace(log(NEAREST), log(FARTHEST), COARSE).tolist()
    entropy, place = _least(lambda place: _bent_entropy(frames, at(place)), places, FINE)
    return entropy, at(place)


def _uneven(frames: Floats, bend: Bend) -> tuple[float, Bend]:
    """The least J near a bend whose levels are free, by the simplex of Nelder and Mead, and what has it."""
    peaks = np.array([frames.max(), -frames.min()])
    nearest, farthest = log(NEAREST), log(FARTHEST)
    start = np.log(np.maximum(bend.level / peaks - 1, NEAREST)).clip(nearest, farthest)

    def at(places: Floats) -> Bend:
        above, below = (peaks * (1 + np.exp(places))).tolist()
        return Bend(bend.curve, above, below)

    found = minimize(
        lambda places: _bent_entropy(frames, at(places)),
        start,
        method="Nelder-Mead",
        bounds=[(nearest, farthest)] * 2,
        options={"initial_simplex": start + STRIDE * np.array([[0, 0], [-1, 0], [0, 1]]), "xatol": EXACT},
    )
    return float(found.fun), at(found.x)


def _least(value: Callable[[float], float], places: list[float], steps: int) -> tuple[float, float]:
    """The least value and its place, in steps of the golden section around the best of places that rise."""
    tried = [(value(place), place) for place in places]
    centre = tried.index(min(tried))
    low, high = places[max(centre - 1, 0)], places[min(centre + 1, len(places) - 1)]
    left, right = ((value(p), p) for p in (high - GOLDEN * (high - low), low + GOLDEN * (high - low)))
    for _ in range(steps):
        tried += [left, right]
        if left[0] < right[0]:
            high, right = right[1], left
            place = high - GOLDEN * (high - low)
            left = value(place), place
        else:
            low, left = left[1], right
            place = low + GOLDEN * (high - low)
            right = value(place), place
    return min([*tried, left, right])


def _bent_entropy(frames: Floats, bend: Bend) -> float:
    u = _shares(frames, bend)
    slope = _slope(u, bend)
    straight = bend.levels(frames) * CURVES[bend.curve].inverse(u)
    return _entropy(straight, slope) - float(slope.mean())


def _displaced(frames: Floats, bend: Bend, sample_rate: float) -> float:
    """The least J with what the curve adds displaced."""
    u = _shares(frames, bend)
    added = bend.levels(frames) * CURVES[bend.curve].inverse(u) - frames
    shifts = [sign * max(round(shift * sample_rate), 1) for shift in SHIFTS_S for sign in (-1, 1)]
    slope = _slope(u, bend)
    least = min(_entropy(frames + np.roll(added, shift, axis=1), slope) for shift in shifts)
    return least - float(slope.mean())


def _shares(frames: Floats, bend: Bend) -> Floats:
    return np.clip(frames / bend.levels(frames), -MOST, MOST)


def _slope(u: Floats, bend: Bend) -> Floats:
    """(n,) mean of ln g' in each frame, weighted as the window weighs the samples."""
    weight = np.square(_window(u.shape[1]))
    return CURVES[bend.curve].log_slope(u) @ weight / weight.sum()


def _entropy(frames: Floats, slope: Floats | None = None) -> float:
    """Mean over frames and bins of ½ ln of the power spectrum.

    slope: (n,) mean ln of what the rounding under each frame was multiplied by; none without it. A valley
        that holds nothing but rounding is no likelier after that than before.
    """
    window = _window(frames.shape[1])
    spectrum = np.fft.rfft(frames * (window / np.sqrt(np.square(window).sum())))
    floor = FLOOR if slope is None else FLOOR * np.exp(2 * slope[:, None])
    return float(np.log(np.square(spectrum.real) + np.square(spectrum.imag) + floor).mean() / 2)


def _window(size: int) -> Floats:
    return np.hanning(size + 2)[1:-1]
