"""Spectra of overlapping frames, some frames at a time.

What limits an iterative method on the spectra of a whole signal is memory, not arithmetic. A tile is as many
frames as a core's cache holds, and takes all passes of a step before the next one does.
"""

import math
from threading import local

import torch
from torch import Tensor

from audiomend.classical.parallel import slices

TILE_BYTES = 1 << 21  # of the spectra of a tile: a call of a transform costs as much as a frame or two


class Tiles:
    """The analysis of a signal in a Gabor frame, circular in time, and its adjoint, the synthesis.

    Attributes:
        tiles: all frames, as slices; functions here take one of them, each from a thread of its own if need
            be. Frame n is centred on sample n * hop.
        shape: frames and bins of all spectra.
    """

    def __init__(self, time: int, taper: Tensor, hop: int, redundancy: int = 1) -> None:
        """All numbers will have the taper's precision and device.

        Args:
            time: samples, a multiple of the window.
            taper: (window,) real.
            hop: the window divided by an even number.
            redundancy: channels for each sample of a frame, which is padded with zeros.
        """
        window, frames = len(taper), time // hop
        self._hop, self._channels = hop, redundancy * window
        self._taper = taper / math.sqrt(self._channels)  # the transforms are not scaled, which saves passes
        self._tapers = self._taper.split(hop)
        self.shape = frames, self._channels // 2 + 1
        most = round(TILE_BYTES / (self.shape[1] * 2 * taper.element_size()))
        self.tiles = slices(frames, most)

        self._signal = taper.new_zeros(time + window - hop)
        self._inside = self._signal[window // 2 :][:time]
        self._frames = self._signal.unfold(0, window, hop)
        self._scratch = local()  # of each thread
        more = window // hop - 1
        self._sums = {tile.start: taper.new_zeros(tile.stop - tile.start + more, hop) for tile in self.tiles}

    def take(self, x: Tensor) -> None:
        """The signal of the next spectra, (samples,), at most `time`; zeros follow."""
        self._inside[: len(x)] = x
        before = len(self._taper) // 2
        self._signal[:before] = self._inside[-before:]
        self._signal[before + len(self._inside) :] = self._inside[: before - self._hop]

    def spectra(self, tile: slice) -> Tensor:
        """(frames, bins) complex, the unitary transforms of its frames."""
        frames = self._frames[tile]
        padded = self._padded()[: len(frames)]
        torch.mul(frames, self._taper, out=padded[:, : len(self._taper)])
        return torch.fft.rfft(padded)

    def _padded(self) -> Tensor:
        """(frames, channels), zero beyond the window."""
        if not hasattr(self._scratch, "padded"):
            most = self.tiles[0].stop
            self._scratch.padded = self._taper.new_zeros(most, self._channels)
        return self._scratch.padded

    def put(self, tile: slice, spectra: Tensor) -> None:
        """(frames, bins) complex: what the tile holds of the next signal."""
        frames, sums = torch.fft.irfft(spectra, n=self._channels, norm="forward"), self._sums[tile.start]
        sums.zero_()
        for i, (piece, taper) in enumerate(zip(frames.split(self._hop, dim=1), self._tapers, strict=False)):
            sums[i : i + len(frames)].addcmul_(piece, taper)

    def signal(self) -> Tensor:
        """(time,) the synthesis of what all tiles hold."""
        frames, overlaps = self.shape[0], len(self._taper) // self._hop
        hops = self._taper.new_zeros(frames + overlaps - 1, self._hop)
        for start, sums in self._sums.items():
            hops[start : start + len(sums)] += sums
        half = overlaps // 2
        signal = hops[half : half + frames]
        signal[frames - half :] += hops[:half]
        signal[: half - 1] += hops[half + frames :]
        return signal.flatten()
