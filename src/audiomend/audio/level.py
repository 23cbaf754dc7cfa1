"""The level of a whole file: one gain brings it to the level that the prior was trained at, and back."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

SIGMA_DATA = 0.1  # RMS of active sound at the prior's level
STRETCH_S = 0.5
ACTIVE_RANGE_DB = 30.0  # quieter stretches are pauses
SILENCE_RMS = 1e-9  # -180 dB: below the last bit of 24, where a gain would blow up rounding noise


class ActiveLevel:
    """Accumulator of the active level: RMS over the half-seconds within 30 dB of the loudest.

    Half-seconds are counted per channel, so that a silent channel does not lower the level of the others.
    """

    def __init__(self, rate: int) -> None:
        self._length = max(1, round(STRETCH_S * rate))
        self._energies: list[Array] = []  # (channels,) each, one per full stretch
        self._energy: Array | float = 0.0  # (channels,) of the stretch under way
        self._count = 0

    def add(self, samples: Array) -> None:
        """Take the next block, (channels, time)."""
        position = 0
        while position < samples.shape[-1]:
            piece = samples[:, position : position + self._length - self._count]
            self._energy = self._energy + np.square(piece, dtype=np.float64).sum(axis=-1)
            self._count += piece.shape[-1]
            position += piece.shape[-1]
            if self._count == self._length:
                self._energies.append(np.asarray(self._energy))
                self._energy, self._count = 0.0, 0

    @property
    def rms(self) -> float:
        """The active level, linear, full scale 1; 0 for silence."""
        energies, counts = self._stretches()
        loudest = energies.max(initial=0.0)
        active = energies >= loudest * 10 ** (-ACTIVE_RANGE_DB / 10)
        level = np.sqrt(energies[active].sum() / counts[active].sum()) if loudest > 0 else 0.0
        return float(level) if level > SILENCE_RMS else 0.0

    @property
    def gain(self) -> float:
        """What brings the file to SIGMA_DATA; 1 for silence."""
        return SIGMA_DATA / self.rms if self.rms else 1.0

    def _stretches(self) -> tuple[Array, Array]:
        # A short last stretch counts as if silence filled it up, so that a click there is not the loudest.
        energies = [*self._energies, np.asarray(self._energy)] if self._count else self._energies
        counts = [self._length] * len(self._energies) + [self._count] * bool(self._count)
        if not energies:
            return np.zeros(0), np.zeros(0)
        table = np.stack(energies)
        return table, np.broadcast_to(np.asarray(counts, float)[:, None], table.shape)
