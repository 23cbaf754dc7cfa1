"""A rolling buffer of a signal that arrives in blocks, addressed by absolute position."""

from collections import deque

import torch
from torch import Tensor

from audiomend.errors import UsageError


class Timeline:
    """What has arrived of a signal and has not been forgotten; position 0 is its first sample.

    A block is kept as it came, not copied: whoever appends it must not write to it afterwards.
    """

    def __init__(self, channels: int) -> None:
        self.channels = channels
        self.end = 0  # number of samples that have arrived
        self._blocks: deque[tuple[int, Tensor]] = deque()  # (position, (channels, n))
        self._forgotten = 0

    def append(self, block: Tensor) -> None:
        """Add the next samples, (channels, n) float32.

        Raises:
            UsageError: if the block has another shape.
        """
        if block.ndim != 2 or block.shape[0] != self.channels:
            raise UsageError(
                f"A block of shape {tuple(block.shape)} is not ({self.channels} channels, samples)."
            )
        self._blocks.append((self.end, block))
        self.end += block.shape[-1]

    def read(self, start: int, stop: int) -> Tensor:
        """(channels, stop - start) float32, a copy; zeros before position 0 and where nothing has arrived.

        Raises:
            ValueError: if part of it was forgotten.
        """
        if max(start, 0) < min(self._forgotten, stop):
            raise ValueError(f"The samples before {self._forgotten} are forgotten; {start} was asked for.")
        result = torch.zeros(self.channels, stop - start)
        for position, block in self._blocks:
            low, high = max(start, position), min(stop, position + block.shape[-1])
            if low < high:
                result[:, low - start : high - start] = block[:, low - position : high - position]
        return result

    def forget(self, before: int) -> None:
        """Promise not to read what lies before this position again."""
        self._forgotten = max(self._forgotten, min(before, self.end))
        while self._blocks and self._blocks[0][0] + self._blocks[0][1].shape[-1] <= self._forgotten:
            self._blocks.popleft()
