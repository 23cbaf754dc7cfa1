"""Plain NumPy forms of the published declippers, as one would write them from the papers.

Frame by frame where the paper speaks of frames, two-sided spectra, a sort where it says "the k largest", as
many syntheses a step as the formulas have. All in float64, of one channel, clipped to low and high, with the
settings of the fast forms, which tests hold against these.
"""

import math

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_toeplitz, toeplitz

from audiomend.classical.ar_declip import ArDeclip
from audiomend.classical.social_sparsity import SocialSparsity
from audiomend.classical.spade import Spade

Array = NDArray[np.float64]
Mask = NDArray[np.bool_]
Spectra = NDArray[np.complex128]


def hann(window: int) -> Array:
    return 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(window) - window // 2) / window)


def spade(y: Array, low: float, high: float, settings: Spade, analysis_form: bool) -> tuple[Array, list[int]]:
    """A-SPADE or S-SPADE: the signal, and the iterations of each frame."""
    w, hop = settings.window, settings.window // 4
    size = -(-len(y) // hop) * hop + 3 * hop
    padded, out, counts = np.pad(y, (0, size - len(y))), np.zeros(size), list[int]()
    for n in range(size // hop):
        at = (n * hop + np.arange(w) - w // 2) % size
        top, bottom = padded[at] >= high, padded[at] <= low
        frame, count = _spade_frame(padded[at] * hann(w), top, bottom, settings, analysis_form)
        out[at] += frame * hann(w) / 1.5
        counts.append(count)
    return out[: len(y)], counts


def _spade_frame(
    y: Array, top: Mask, bottom: Mask, settings: Spade, analysis_form: bool
) -> tuple[Array, int]:
    channels = settings.redundancy * settings.window

    def forward(x: Array) -> Spectra:
        return np.fft.fft(x, channels, norm="ortho")

    def backward(z: Spectra) -> Array:
        return np.fft.ifft(z, norm="ortho").real[: settings.window]

    def threshold(z: Spectra, k: int) -> Spectra:
        magnitude = np.abs(z[: channels // 2 + 1])
        magnitude[0] /= 2
        kept = np.argsort(-magnitude, kind="stable")[:k]
        out = np.zeros_like(z)
        out[kept], out[-kept] = z[kept], z[-kept]
        return out

    def project(x: Array) -> Array:
        return np.where(top, np.maximum(x, y), np.where(bottom, np.minimum(x, y), y))

    x, best, result, k = y, math.inf, y, settings.step
    u = forward(0 * y) if analysis_form else 0 * y
    for count in range(1, settings.most_iterations + 1):
        if analysis_form:
            z = forward(x)
            sparse = threshold(z + u, k)
            distance = np.linalg.norm(z - sparse)
        else:
            sparse = backward(threshold(forward(x - u), k))
            distance = np.linalg.norm(sparse - x)
        if distance <= best:
            best, result = distance, x
        if distance <= settings.tolerance:
            return result, count - 1
        if analysis_form:
            x = project(backward(sparse - u))
            u = u + forward(x) - sparse
        else:
            x = project(sparse + u)
            u = u + sparse - x
        if (count + 1) % settings.every == 0:
            k += max(settings.step, int(settings.growth * k))
    return result, settings.most_iterations


class Frame:
    """The tight frame of social sparsity, circular in `size` samples."""

    def __init__(self, size: int, window: int, overlaps: int = 4, redundancy: int = 2) -> None:
        hop = window // overlaps
        self.places = (np.arange(size // hop)[:, None] * hop + np.arange(window) - window // 2) % size
        self.taper = np.sqrt(hann(window)) if overlaps == 2 else hann(window) / np.sqrt(1.5)
        self.size, self.channels = size, redundancy * window

    def analysis(self, x: Array) -> Spectra:
        """(time,), at most `size`, to (frames, bins)."""
        x = np.pad(x, (0, self.size - len(x)))
        return np.fft.fft(x[self.places] * self.taper, self.channels, norm="ortho")[
            :, : self.channels // 2 + 1
        ]

    def synthesis(self, z: Spectra) -> Array:
        """(frames, bins) to (size,)."""
        whole = np.concatenate((z, z[:, -2:0:-1].conj()), axis=1)
        pieces = np.fft.ifft(whole, norm="ortho").real[:, : len(self.taper)] * self.taper
        x = np.zeros(self.size)
        np.add.at(x, self.places, pieces)
        return x


def shrunk(z: Spectra, threshold: float, around: tuple[int, int]) -> Spectra:
    """By the mean power of so many frames and bins, mirrored at the edges."""
    frames, bins = around
    wide = np.pad(np.abs(z) ** 2, ((frames // 2,) * 2, (bins // 2,) * 2), mode="symmetric")
    power = sum(wide[i : i + z.shape[0], j : j + z.shape[1]] for i in range(frames) for j in range(bins)) / (
        frames * bins
    )
    return z * np.maximum(0, 1 - threshold**2 / np.maximum(power, 1e-300))


def social_sparsity(
    y: Array,
    low: float,
    high: float,
    settings: SocialSparsity,
    around: tuple[int, int],
    start: Array | None = None,
) -> tuple[Array, list[int]]:
    """SS-EW (around one frame and bin) and SS-PEW: the signal, and the steps at each threshold."""
    frame = Frame(
        -(-len(y) // (2 * settings.window)) * 2 * settings.window,
        settings.window,
        settings.overlaps,
        settings.redundancy,
    )
    g = z = frame.analysis(np.zeros_like(y) if start is None else start)
    signal, counts, age, few = y, list[int](), 0, settings.overlaps * settings.redundancy
    ratio = settings.last / settings.first
    for i in range(settings.thresholds):
        threshold = settings.first * ratio ** (i / max(settings.thresholds - 1, 1)) * np.sqrt(8 / few)
        age, count, change = 0 if settings.anew else age, 0, math.inf
        while count < settings.steps and change >= settings.tolerance:
            x = frame.synthesis(z)[: len(y)]
            residual = np.where((y >= high) & (np.abs(x) > high), 0, y - x)
            residual = np.where((y <= low) & (np.abs(x) > -low), 0, residual)
            last, g = g, shrunk(z + frame.analysis(residual), threshold, around)
            z = g + min(age / (age + 6), settings.most_momentum) * (g - last)
            before = frame.synthesis(last)[: len(y)] if counts or count else y
            signal = frame.synthesis(g)[: len(y)]
            change = np.linalg.norm(signal - before)
            count, age = count + 1, age + 1
        counts.append(count)
    return signal, counts


def autoregressive(y: Array, low: float, high: float, settings: ArDeclip) -> Array:
    """Inpainting of clipped samples in rectangular frames, from the clipped signal on; GLP."""
    w, order, last = settings.frame, settings.order, settings.iterations
    hop = w // 2
    padded = np.pad(y, (hop, -len(y) % hop + hop))
    out = np.zeros_like(padded)
    for start in range(0, len(padded) - w + 1, hop):
        frame = padded[start : start + w]
        top, bottom, x = frame >= high, frame <= low, frame
        m = top | bottom
        for i in range(1, last + 1 if m.any() else 1):
            r = np.correlate(x, x, "full")[w - 1 : w + order]
            a = np.concatenate(([1.0], solve_toeplitz(r[:-1], -r[1:])))
            b = np.zeros(w)
            b[: order + 1] = np.correlate(a, a, "full")[order:]
            matrix = toeplitz(b)
            new = x.copy()
            new[m] = cho_solve(cho_factor(matrix[np.ix_(m, m)]), -matrix[np.ix_(m, ~m)] @ x[~m])
            if settings.reflected and i < last:
                new = np.where((top & (new < frame)) | (bottom & (new > frame)), 2 * frame - new, new)
            if 1 < i < last:
                new += (last - i) / (last - 1) * (new - x)
            x = new
        out[start : start + w] += x * hann(w)
    return out[hop : hop + len(y)]
