"""Frames are those of the whole signal, whatever blocks it comes in."""

import numpy as np
import pytest

from audiomend.detect.frames import Frames, hann, nearest_size


@pytest.mark.parametrize("together", [1, 3])
def test_blocks_of_any_length_give_the_frames_of_the_whole(together):
    random = np.random.default_rng(0)
    x = random.standard_normal((2, 1000)).astype(np.float32)
    frames, ends = Frames(2, 64, together), np.append(np.sort(random.integers(0, 1000, 30)), 1000)
    blocks = [frames.add(block) for block in np.split(x, ends, axis=1)]
    assert all(block.shape[1] % together == 0 for block in blocks)
    whole = [x[:, start : start + 64] for start in range(0, 1000 - 63, 32)]
    count = len(whole) // together * together
    np.testing.assert_array_equal(np.concatenate(blocks, axis=1), np.stack(whole[:count], axis=1))
    np.testing.assert_array_equal(frames.held, x[:, count * 32 :])


def test_sizes_and_windows():
    assert [nearest_size(0.1, rate) for rate in (8_000, 16_000, 18_200, 44_100)] == [1024, 2048, 2048, 4096]
    np.testing.assert_allclose(hann(3), [0.5, 1, 0.5])
