"""Constant-Q transforms by non-stationary Gabor frames: the spectrum is cut into bands that overlap by half.

Bands have geometric centres, and one more stands at 0 Hz and at Nyquist. Row k is the inverse Fourier
transform of its own piece of the spectrum X, which lies around the bin p_k and is shaped by a window g_k of
M_k bins (Balazs et al. 2011; Velasco et al. 2011):

    c_k[m] = 1/T_k sum_d X[p_k + d] g_k[d] exp(2 pi i d m / T_k),      -M_k/2 <= d < M_k/2,   T_k >= M_k

so a row is the signal of its band moved down to 0 Hz. S[n] = sum_k T_k g_k[n - p_k]^2 has no zero, therefore
the inverse is exact: each row goes back to its piece, times T_k g_k / S. The transform is circular and takes
any length. `Cqt` keeps all rows on one raster, as CQT-Diff does (Moliner et al. 2023); `OctaveCqt` keeps one
raster for each octave, as CQT-Diff+ does (Moliner and Välimäki 2024).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.special import i0
from torch import Tensor

from audiomend.errors import UsageError

_SHORTEST_WINDOW = 4  # bins
_BELOW_NYQUIST = 1e-6  # Hz; how far CQT-Diff+ keeps its top band from Nyquist
_KAISER_BETA = 1.0


@dataclass(frozen=True)
class Cqt:
    """The transform of CQT-Diff: octaves * bins + 2 rows, each of as many columns as the longest window.

    Attributes:
        rate: samples per second.
        length: samples L of a signal, any number from 8.
        octaves: how many octaves below Nyquist the lowest band lies.
        bins: bands per octave. As published the highest band is counted too, so that octaves * bins bands
            span the octaves from end to end, (octaves * bins - 1) / octaves of them per octave.

    Raises:
        UsageError: where there are fewer than two bands or a number is too small.
    """

    rate: float
    length: int
    octaves: int
    bins: int

    def __post_init__(self) -> None:
        _check(self.length, self.octaves, self.bins)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """(octaves * bins,) centres of the bands between 0 Hz and Nyquist, in Hz."""
        # The highest one equals Nyquist up to the last bit. The published code drops a band that is not below
        # Nyquist, so whether it has it depends on rounding (7 octaves of 64 bins do, 4 of 64 do not). Here it
        # always stays: `_Bands` moves it between its neighbours, hence the last bit plays no part.
        return _geometric(self.rate / 2, self.octaves, self.octaves * self.bins)

    @property
    def rows(self) -> int:
        """Bands from 0 Hz to Nyquist, both included."""
        return self.octaves * self.bins + 2

    @property
    def columns(self) -> int:
        """Coefficients of a row."""
        return int(_raster(self).columns[0])

    def forward(self, x: Tensor) -> Tensor:
        """(..., length) real -> (..., rows, columns) complex."""
        _check_shape(x.shape, (self.length,))
        pieces = _analyse(x, _tables(self, x.dtype, x.device))
        return torch.fft.ifft(pieces.unflatten(-1, (self.rows, self.columns)))

    def inverse(self, coefficients: Tensor) -> Tensor:
        """(..., rows, columns) complex -> (..., length) real.

        Exact after `forward`; other coefficients are first projected, not orthogonally, onto those that a
        signal can have.
        """
        _check_shape(coefficients.shape, (self.rows, self.columns))
        tables = _tables(self, coefficients.real.dtype, coefficients.device)
        return _synthesise(torch.fft.fft(coefficients).flatten(-2), tables, self.length)


@dataclass(frozen=True)
class OctaveCqt:
    """The transform of CQT-Diff+: `bins` rows per octave, whose columns are the next power of two.

    The rows at 0 Hz and at Nyquist are not kept: the inverse gives the signal without them, `high_pass`.

    Attributes:
        rate, length, octaves, bins: as in `Cqt`; the highest band lies 1e-6 Hz below Nyquist.
        published: as the published weights were trained: windows are nearly rectangular, and what the inverse
            gives differs from `high_pass` by about 1e-2 of the signal. Otherwise windows are Hann's, and both
            are the same.

    Raises:
        UsageError: as `Cqt`.
    """

    rate: float
    length: int
    octaves: int
    bins: int
    published: bool = False

    def __post_init__(self) -> None:
        _check(self.length, self.octaves, self.bins)

    @property
    def frequencies(self) -> NDArray[np.float64]:
        """(octaves * bins,) centres of the bands between 0 Hz and Nyquist, in Hz."""
        return _geometric(self.rate / 2 - _BELOW_NYQUIST, self.octaves, self.octaves * self.bins)

    @property
    def columns(self) -> tuple[int, ...]:
        """Coefficients of a row in each octave, lowest octave first."""
        return tuple(int(c) for c in _raster(self).columns[1 : self.octaves * self.bins + 1 : self.bins])

    def forward(self, x: Tensor) -> list[Tensor]:
        """(..., length) real -> per octave, lowest first, (..., bins, columns) complex."""
        _check_shape(x.shape, (self.length,))
        pieces = _analyse(x, _tables(self, x.dtype, x.device))
        octaves = pieces.split([self.bins * columns for columns in self.columns], dim=-1)
        return [torch.fft.ifft(octave.unflatten(-1, (self.bins, -1))) for octave in octaves]

    def inverse(self, coefficients: Sequence[Tensor]) -> Tensor:
        """What `forward` gives -> (..., length) real, as `Cqt.inverse`."""
        for octave, columns in zip(coefficients, self.columns, strict=True):
            _check_shape(octave.shape, (self.bins, columns))
        tables = _tables(self, coefficients[0].real.dtype, coefficients[0].device)
        pieces = torch.cat([torch.fft.fft(octave).flatten(-2) for octave in coefficients], dim=-1)
        return _synthesise(pieces, tables, self.length)

    def high_pass(self, x: Tensor) -> Tensor:
        """(..., length) real -> the same without the bands at 0 Hz and at Nyquist."""
        _check_shape(x.shape, (self.length,))
        kept = _high_pass(self, x.dtype, x.device)
        return torch.fft.irfft(torch.fft.rfft(x) * kept, n=self.length)


def _check(length: int, octaves: int, bins: int) -> None:
    if octaves < 1 or bins < 1 or octaves * bins < 2:
        raise UsageError(f"{octaves} octaves of {bins} bins are too few: a transform needs at least 2 bands.")
    if length < 2 * _SHORTEST_WINDOW:
        raise UsageError(f"{length} samples are too few: a transform needs at least {2 * _SHORTEST_WINDOW}.")


def _check_shape(shape: torch.Size, last: tuple[int, ...]) -> None:
    if tuple(shape[-len(last) :]) != last:
        raise UsageError(f"A tensor of shape {tuple(shape)} does not end in {last} as the transform does.")


def _geometric(highest: float, octaves: int, bands: int) -> NDArray[np.float64]:
    """(bands,) frequencies of equal ratio from highest / 2 ** octaves to highest."""
    low, high = np.log2(highest / 2**octaves), np.log2(highest)
    return 2.0**low * (2.0 ** ((high - low) / (bands - 1))) ** np.arange(bands)


@dataclass(frozen=True)
class _Bands:
    """Bands of the whole circle of bins; the first `rows` go from 0 Hz to Nyquist, the others mirror them.

    Attributes:
        rows: how many bands are kept.
        positions: bin in each band's middle.
        lengths: bins of each band's window.
    """

    rows: int
    positions: NDArray[np.int64]
    lengths: NDArray[np.int64]

    @staticmethod
    def of(transform: Cqt | OctaveCqt) -> "_Bands":
        size = transform.length
        hz = np.concatenate(([0.0], transform.frequencies, [transform.rate / 2]))
        centres = hz * size / transform.rate
        around = np.concatenate(([-centres[1]], centres, [size - centres[-2]]))
        lengths = np.round(around[2:] - around[:-2])
        if isinstance(transform, OctaveCqt):
            ratio = 2 ** (transform.octaves / (len(transform.frequencies) - 1))
            lengths[1] = np.round(centres[1] * (ratio - 1) * 2 / np.sqrt(ratio))
            lengths[-1] = lengths[-2]
        lengths = lengths.clip(_SHORTEST_WINDOW).astype(np.int64)
        centres[-2] = (centres[-3] + centres[-1]) / 2  # between its neighbours, once the lengths are known
        mirrored = size - centres[-2:0:-1]
        return _Bands(
            rows=len(centres),
            positions=np.round(np.concatenate((centres, mirrored))).astype(np.int64),
            lengths=np.concatenate((lengths, lengths[-2:0:-1])),
        )


@dataclass(frozen=True)
class _Raster:
    """All pieces of all bands one after the other, an entry for each offset d from a band's middle.

    Attributes:
        bands: what the pieces belong to.
        columns: T_k of each band of `bands`.
        band: which band an entry belongs to.
        offset: d.
        bin: p_k + d, on the circle.
        window: g_k[d].
        dual: T_k g_k[d] / S[bin].
    """

    bands: _Bands
    columns: NDArray[np.int64]
    band: NDArray[np.int64]
    offset: NDArray[np.int64]
    bin: NDArray[np.int64]
    window: NDArray[np.float64]
    dual: NDArray[np.float64]


@lru_cache(maxsize=16)
def _raster(transform: Cqt | OctaveCqt) -> _Raster:
    bands = _Bands.of(transform)
    columns = _columns(transform, bands)
    band = np.repeat(np.arange(len(bands.lengths)), bands.lengths)
    lengths = bands.lengths[band]
    first = np.cumsum(bands.lengths) - bands.lengths
    offset = np.arange(len(band)) - first[band] - lengths // 2
    bins = (bands.positions[band] + offset) % transform.length
    published = isinstance(transform, OctaveCqt) and transform.published
    window = _kaiser(offset, lengths) if published else _hann(offset, lengths)
    # The inverse fills half the circle, from the bands that are kept. A mirrored band that reaches over into
    # that half must not count, or the inverse is not exact; as published it counts.
    counted = published | (band < bands.rows) | (bins > transform.length // 2)
    weights = counted * columns[band] * window**2
    total = np.bincount(bins, weights, minlength=transform.length)
    dual = columns[band] * window / total[bins]
    return _Raster(bands, columns, band, offset, bins, window, dual)


def _columns(transform: Cqt | OctaveCqt, bands: _Bands) -> NDArray[np.int64]:
    if isinstance(transform, Cqt):
        return np.full(len(bands.lengths), bands.lengths.max())
    octaves = bands.lengths[1 : bands.rows - 1].reshape(transform.octaves, transform.bins)
    kept = np.repeat(_power_of_two(octaves.max(axis=1)), transform.bins)
    # As published the mirrored list begins at Nyquist, one band early; the published `high_pass` needs it.
    return np.concatenate((bands.lengths[:1], kept, kept[::-1], bands.lengths[1:2]))


def _power_of_two(lengths: NDArray[np.int64]) -> NDArray[np.int64]:
    """The next one at or above each length."""
    return 2 ** np.ceil(np.log2(lengths)).astype(np.int64)


def _hann(offset: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.float64]:
    return 0.5 + 0.5 * np.cos(2 * np.pi * offset / length)


def _kaiser(offset: NDArray[np.int64], length: NDArray[np.int64]) -> NDArray[np.float64]:
    """CQT-Diff+'s: from 1/2 in the middle to 0.395 at the edge; of odd length it stands half a bin aside."""
    turned = np.pi * (offset + length - length // 2) / length
    return i0(_KAISER_BETA * np.abs(np.sin(turned))) / (2 * i0(_KAISER_BETA))


@dataclass(frozen=True)
class _Tables:
    """The kept entries of a raster as tensors.

    Attributes:
        size: numbers of all rows together.
        places: where each entry stands among them.
        bins: which bin of the whole spectrum it comes from.
        window: what it is shaped with.
        half_places, half_bins, dual: the same for the way back, entries from 0 Hz to Nyquist only.
    """

    size: int
    places: Tensor
    bins: Tensor
    window: Tensor
    half_places: Tensor
    half_bins: Tensor
    dual: Tensor


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)  # what is kept must serve a later call with gradients, too
def _tables(transform: Cqt | OctaveCqt, dtype: torch.dtype, device: torch.device) -> _Tables:
    raster = _raster(transform)
    last = raster.bands.rows - 1
    kept = np.arange(0, last + 1) if isinstance(transform, Cqt) else np.arange(1, last)
    start = np.zeros_like(raster.columns)
    start[kept] = np.cumsum(raster.columns[kept]) - raster.columns[kept]
    places = start[raster.band] + raster.offset % raster.columns[raster.band]
    forth = np.isin(raster.band, kept)
    back = forth & (raster.bin <= transform.length // 2)

    def numbers(values: NDArray[np.float64]) -> Tensor:
        return torch.from_numpy(values).to(dtype).to(device)

    def indices(values: NDArray[np.int64]) -> Tensor:
        return torch.from_numpy(values).to(device)

    return _Tables(
        size=int(raster.columns[kept].sum()),
        places=indices(places[forth]),
        bins=indices(raster.bin[forth]),
        window=numbers(raster.window[forth]),
        half_places=indices(places[back]),
        half_bins=indices(raster.bin[back]),
        dual=numbers(raster.dual[back]),
    )


def _analyse(x: Tensor, tables: _Tables) -> Tensor:
    """(..., length) real -> (..., size): each row's piece of the spectrum, its middle at the row's start."""
    pieces = torch.fft.fft(x).index_select(-1, tables.bins) * tables.window
    return pieces.new_zeros(*x.shape[:-1], tables.size).index_copy(-1, tables.places, pieces)


def _synthesise(pieces: Tensor, tables: _Tables, length: int) -> Tensor:
    """What `_analyse` gives -> (..., length) real."""
    values = pieces.index_select(-1, tables.half_places) * tables.dual
    half = values.new_zeros(*values.shape[:-1], length // 2 + 1).index_add(-1, tables.half_bins, values)
    return torch.fft.irfft(half, n=length)


@lru_cache(maxsize=16)
@torch.inference_mode(mode=False)
def _high_pass(transform: OctaveCqt, dtype: torch.dtype, device: torch.device) -> Tensor:
    """(length // 2 + 1,) the share of each bin that is left without the bands at 0 Hz and at Nyquist."""
    raster = _raster(transform)
    nyquist = raster.bands.rows - 1
    ends = (raster.band == 0) | (raster.band == nyquist)
    band, bins, offset = raster.band[ends], raster.bin[ends], raster.offset[ends]
    shares = raster.window[ends] * raster.dual[ends]
    if transform.published:
        # Of windows of odd length the last value comes to stand before the first one: at Nyquist the others
        # move up for it, at 0 Hz they do not. And the filter is the mean of those above and below 0 Hz.
        length = raster.bands.lengths[band]
        last = offset == length // 2
        bins = bins - last * length + (length % 2) * (band == nyquist)
        bins, shares = np.concatenate((bins, -bins)) % transform.length, np.tile(shares / 2, 2)
    kept = 1 - np.bincount(bins, shares, minlength=transform.length)
    return torch.from_numpy(kept[: transform.length // 2 + 1]).to(dtype).to(device)
