"""The power around each bin of spectra that come in tiles."""

from dataclasses import dataclass

import torch
from torch import Tensor

from audiomend.classical.shrinkage import ALONE, local_sum
from audiomend.classical.tiles import Tiles

AVERAGED = 8  # frames in one product: the matrix that averages them is a band


class Neighbours:
    """Mean of |z|² over frames and bins around each bin, mirrored at the edges."""

    def __init__(self, tiles: Tiles, around: tuple[int, int], like: Tensor) -> None:
        """All zero.

        Args:
            around: frames and bins, odd numbers, at most those that there are.
            like: a tensor of their precision, on their device.
        """
        frames, bins = tiles.shape
        self._around = around
        self._power = like.new_zeros(frames, bins)
        self._means = {tile.start: _means_of_frames(tile, frames, around, like) for tile in tiles.tiles}

    def take(self, tile: slice, z: Tensor) -> None:
        """The spectra of a tile, (frames, bins) complex."""
        torch.add(*torch.view_as_real(z).square().unbind(-1), out=self._power[tile])

    def power(self, tile: slice) -> Tensor:
        """(frames, bins) of a tile. If there are other frames around, take all that are there before."""
        if self._around == ALONE:
            return self._power[tile]
        power = torch.empty_like(self._power[tile])
        for mean in self._means[tile.start]:
            torch.mm(mean.matrix, self._power[mean.near], out=power[mean.rows])
        return power if self._around[1] == 1 else local_sum(power, self._around[1], -1)


@dataclass(frozen=True, eq=False)
class _Mean:
    """What adds to each of some frames of a tile those beside it.

    Attributes:
        rows: the frames, from the tile's first on.
        near: those and the ones beside them, of all.
        matrix: (rows, near).
    """

    rows: slice
    near: slice
    matrix: Tensor


def _means_of_frames(tile: slice, frames: int, around: tuple[int, int], like: Tensor) -> list[_Mean]:
    half, means = around[0] // 2, list[_Mean]()
    for start in range(tile.start, tile.stop, AVERAGED):
        stop = min(start + AVERAGED, tile.stop)
        near = slice(max(start - half, 0), min(stop + half, frames))
        units = torch.eye(near.stop - near.start, dtype=like.dtype, device=like.device)
        sums = local_sum(units, around[0], 0)
        matrix = sums[start - near.start : stop - near.start] / (around[0] * around[1])
        means.append(_Mean(slice(start - tile.start, stop - tile.start), near, matrix))
    return means
