"""Counter-based noise: every value is a function of its place, so nothing depends on the order of the work.

Philox 4x64 (Salmon et al. 2011) turns (seed; position, draw, step, sample) into random bits, and the
Box-Muller transform turns each 64-bit word into two standard normal values.
"""

import numpy as np
from numpy.typing import NDArray

from audiomend.errors import OptionError

SEEDS = 2**64  # one word of Philox's key
VALUES_PER_BLOCK = 8  # four words of 64 bits, two values each
ORIGIN = 2**62  # block that holds position 0; negative positions lie in the blocks before it


def normal(seed: int, sample: int, step: int, draw: int, start: int, stop: int) -> NDArray[np.float32]:
    """Standard normal noise at the positions start <= n < stop.

    Args:
        seed: 0 <= seed < 2^64.
        sample: index of the posterior sample, >= 0.
        step: index of the solver's step, >= 0.
        draw: index of the draw within the step, >= 0.
        start, stop: absolute positions in samples, may be negative.

    Returns:
        (stop - start,) float32; the value at a position does not depend on start and stop.

    Raises:
        UsageError: if the seed is out of range.
    """
    if not 0 <= seed < SEEDS:
        raise OptionError("seed", f"is {seed}; it must be a whole number from 0 to 2^64 - 1.")
    first = start // VALUES_PER_BLOCK
    blocks = -(-stop // VALUES_PER_BLOCK) - first
    counter = np.array([ORIGIN + first, draw, step, sample], dtype=np.uint64)
    bits = np.random.Philox(key=seed, counter=counter).random_raw(4 * blocks)
    offset = start - first * VALUES_PER_BLOCK
    return _box_muller(bits)[offset : offset + stop - start]


def _box_muller(bits: NDArray[np.uint64]) -> NDArray[np.float32]:
    """(n,) words -> (2 n,) standard normal values (Box and Muller 1958)."""
    halves = np.stack((bits >> np.uint64(32), bits & np.uint64(0xFFFFFFFF)))
    u, v = (halves.astype(np.float32) + np.float32(0.5)) * np.float32(2.0**-32)  # 0 < u, v <= 1
    radius = np.sqrt(-2 * np.log(u))
    angle = np.float32(2 * np.pi) * v
    return np.stack((radius * np.cos(angle), radius * np.sin(angle)), axis=-1).reshape(-1)
