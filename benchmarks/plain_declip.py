"""Plain NumPy forms of the published declippers, as one would write them from the papers.

Frame by frame where the paper speaks of frames, two-sided spectra, a sort where it says "the k largest", two
analyses and two syntheses a step. All in float64, of one channel, clipped to ±level.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import cho_factor, cho_solve, solve_toeplitz, toeplitz

Array = NDArray[np.float64]
Spectra = NDArray[np.complex128]

WINDOW, HOP, CHANNELS = 8192, 2048, 16384


def spade(y: Array, level: float, iterations: int, step: int, analysis_form: bool) -> Array:
    """A-SPADE or S-SPADE with a fixed number of iterations; k grows by `step` after each second one."""
    hann = 0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) - WINDOW // 2) / WINDOW)
    size = -(-len(y) // HOP) * HOP + 3 * HOP
    padded, out = np.zeros(size), np.zeros(size)
    padded[: len(y)] = y
    for n in range(size // HOP):
        at = (n * HOP + np.arange(WINDOW) - WINDOW // 2) % size
        top, bottom = padded[at] >= level, padded[at] <= -level
        frame = _spade_frame(padded[at] * hann, top, bottom, iterations, step, analysis_form)
        out[at] += frame * hann / 1.5
    return out[: len(y)]


def _spade_frame(
    y: Array,
    top: NDArray[np.bool_],
    bottom: NDArray[np.bool_],
    iterations: int,
    step: int,
    analysis_form: bool,
) -> Array:
    def forward(x: Array) -> Spectra:
        return np.fft.fft(x, CHANNELS, norm="ortho")

    def backward(z: Spectra) -> Array:
        return np.fft.ifft(z, norm="ortho").real[:WINDOW]

    def threshold(z: Spectra, k: int) -> Spectra:
        magnitude = np.abs(z[: CHANNELS // 2 + 1])
        magnitude[0] /= 2
        kept = np.argsort(-magnitude, kind="stable")[:k]
        out = np.zeros_like(z)
        out[kept], out[-kept] = z[kept], z[-kept]
        return out

    def project(x: Array) -> Array:
        return np.where(top, np.maximum(x, y), np.where(bottom, np.minimum(x, y), y))

    x, best, result, k = y, np.inf, y, step
    u = forward(0 * y) if analysis_form else 0 * y
    for count in range(1, iterations + 1):
        if analysis_form:
            z = forward(x)
            sparse = threshold(z + u, k)
            distance = np.linalg.norm(z - sparse)
        else:
            sparse = backward(threshold(forward(x - u), k))
            distance = np.linalg.norm(sparse - x)
        if distance <= best:
            best, result = distance, x
        if analysis_form:
            x = project(backward(sparse - u))
            u = u + forward(x) - sparse
        else:
            x = project(sparse + u)
            u = u + sparse - x
        if (count + 1) % 2 == 0:
            k += step
    return result


def social_sparsity(y: Array, level: float, thresholds: Array, steps: int, frames: int, bins: int) -> Array:
    """SS-EW (one frame, one bin) and SS-PEW (7 frames, 3 bins), with so many steps at each threshold."""
    size = -(-len(y) // CHANNELS) * CHANNELS
    places = (np.arange(size // HOP)[:, None] * HOP + np.arange(WINDOW) - WINDOW // 2) % size
    hann = (0.5 + 0.5 * np.cos(2 * np.pi * (np.arange(WINDOW) - WINDOW // 2) / WINDOW)) / np.sqrt(1.5)

    def analysis(x: Array) -> Spectra:
        return np.fft.fft(x[places] * hann, CHANNELS, norm="ortho")[:, : CHANNELS // 2 + 1]

    def synthesis(z: Spectra) -> Array:
        whole = np.concatenate((z, z[:, -2:0:-1].conj()), axis=1)
        pieces = np.fft.ifft(whole, norm="ortho").real[:, :WINDOW] * hann
        x = np.zeros(size)
        np.add.at(x, places, pieces)
        return x

    def shrunk(z: Spectra, threshold: float) -> Spectra:
        wide = np.pad(np.abs(z) ** 2, ((frames // 2,) * 2, (bins // 2,) * 2), mode="symmetric")
        power = sum(
            wide[i : i + z.shape[0], j : j + z.shape[1]] for i in range(frames) for j in range(bins)
        ) / (frames * bins)
        return z * np.maximum(0, 1 - threshold**2 / np.maximum(power, 1e-300))

    observed = np.pad(y, (0, size - len(y)))
    clipped, target = np.abs(observed) >= level, np.sign(observed) * level
    g = z = analysis(np.zeros(size))
    for threshold in thresholds:
        for k in range(steps):
            x = synthesis(z)
            residual = np.where(clipped, np.where(np.abs(x) > level, 0, target - x), observed - x)
            last, g = g, shrunk(z + analysis(residual), threshold)
            z = g + k / (k + 6) * (g - last)
            np.linalg.norm(synthesis(g) - synthesis(last))  # the stopping rule
    return synthesis(g)[: len(y)]


def autoregressive(y: Array, level: float, order: int, iterations: int) -> Array:
    """Inpainting of clipped samples in rectangular frames, from the clipped signal, with extrapolation."""
    hop = WINDOW // 2
    behind = -len(y) % hop + hop
    padded = np.pad(y, (hop, behind))
    out = np.zeros_like(padded)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW)
    for start in range(0, len(padded) - WINDOW + 1, hop):
        x = padded[start : start + WINDOW].copy()
        m = np.abs(x) >= level
        for i in range(1, iterations + 1 if m.any() else 1):
            r = np.correlate(x, x, "full")[WINDOW - 1 : WINDOW + order]
            a = np.concatenate(([1.0], solve_toeplitz(r[:-1], -r[1:])))
            b = np.zeros(WINDOW)
            b[: order + 1] = np.correlate(a, a, "full")[order:]
            matrix = toeplitz(b)
            new = x.copy()
            new[m] = cho_solve(cho_factor(matrix[np.ix_(m, m)]), -matrix[np.ix_(m, ~m)] @ x[~m])
            if 1 < i < iterations:
                new += (iterations - i) / (iterations - 1) * (new - x)
            x = new
        out[start : start + WINDOW] += x * hann
    return out[hop : hop + len(y)]
