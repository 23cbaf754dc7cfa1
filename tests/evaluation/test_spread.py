"""The spread of posterior samples: exact for a Gaussian, whatever the blocks; 0 where nothing is invented."""

import numpy as np
import pytest

from audiomend.errors import UsageError
from audiomend.evaluation.spread import spread, spread_of_blocks

RATE, SIZE, HOP = 345.0, 16, 4
LENGTH = 37


def random(*shape: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal(shape)


def analysis(length: int) -> np.ndarray:
    """(frames, bins, length): row f of each bin, X = f x, written out sample by sample."""
    weights = np.array([np.sin(np.pi * i / SIZE) ** 2 for i in range(SIZE)])
    weights /= np.linalg.norm(weights)
    rows = np.zeros(((length + HOP - 1) // HOP, SIZE // 2 + 1, length), dtype=complex)
    for frame, row in enumerate(rows):
        for i in range(SIZE):
            place = frame * HOP - SIZE // 2 + i
            if 0 <= place < length:
                row[:, place] = weights[i] * np.exp(-2j * np.pi * np.arange(SIZE // 2 + 1) * i / SIZE)
    return rows


def test_a_gaussian_posterior_has_the_spread_of_its_covariance():
    """Samples whose sample mean and covariance are the posterior's own: mean +- sqrt((K - 1) / 2) L_i."""
    dimensions = 2 * LENGTH
    root, mean = random(dimensions, dimensions, seed=1), random(dimensions, seed=2)
    count = 2 * dimensions
    offsets = np.sqrt((count - 1) / 2) * np.concatenate((root.T, -root.T))
    samples = (mean + offsets).reshape(count, 2, LENGTH)
    found = spread(samples, RATE)
    covariance = (root @ root.T).reshape(2, LENGTH, 2, LENGTH)
    f = analysis(LENGTH)
    for channel in range(2):
        block = covariance[channel, :, channel]
        variance = np.einsum("nkt,tu,nku->nk", f, block, f.conj()).real
        centre = np.abs(f @ mean.reshape(2, LENGTH)[channel]) ** 2
        np.testing.assert_allclose(found.variance[channel], variance, rtol=1e-10)
        energy = centre + (count - 1) / count * variance
        np.testing.assert_allclose(found.energy[channel], energy, rtol=1e-10)
        expected = np.minimum(found.variance / found.energy, 1)
        np.testing.assert_allclose(found.share, expected, rtol=1e-12)


def test_few_samples_are_right_on_average():
    """White noise of standard deviation 0.5 around a known tone adds 0.25 to variance and energy of a bin."""
    tone = 2 * np.cos(2 * np.pi * 4 / SIZE * np.arange(SIZE + 1))
    many = [tone + 0.5 * random(3, 1, SIZE + 1, seed=seed) for seed in range(3000)]
    found = [spread(samples, RATE) for samples in many]
    variance = np.mean([one.variance[0, 2] for one in found], axis=0)
    energy = np.mean([one.energy[0, 2] for one in found], axis=0)
    alone = spread(np.stack([tone[None]] * 2), RATE).energy[0, 2]
    np.testing.assert_allclose(variance, 0.25, rtol=0.1)
    np.testing.assert_allclose(energy - alone, 0.25, rtol=0.1, atol=0.01 * alone.max())


@pytest.mark.parametrize("sizes", [[1] * LENGTH, [5, 0, 20, 12], [36, 1], [LENGTH]])
def test_blocks_change_nothing(sizes):
    samples = random(3, 2, LENGTH)
    whole, ends = spread(samples, RATE), np.cumsum(sizes)
    blocks = (samples[..., end - size : end] for end, size in zip(ends, sizes, strict=True))
    parts = list(spread_of_blocks(blocks, RATE))
    for name, axis in (("seconds", 0), ("energy", 1), ("variance", 1)):
        joined = np.concatenate([getattr(part, name) for part in parts], axis=axis)
        np.testing.assert_allclose(joined, getattr(whole, name), rtol=1e-12)


def test_a_long_signal_is_transformed_piece_by_piece():
    samples = random(2, 1, 3 * 256 * HOP + 7)
    (*_, rest) = spread_of_blocks([samples], RATE)
    whole = spread(samples, RATE)
    assert whole.seconds.tolist() == pytest.approx([n * HOP / RATE for n in range(3 * 256 + 2)])
    assert whole.energy.shape == whole.variance.shape == (1, 3 * 256 + 2, SIZE // 2 + 1)
    np.testing.assert_allclose(rest.energy, whole.energy[:, -len(rest.seconds) :])


def test_only_what_differs_counts():
    """A gap that two samples fill differently: no spread in the frames that do not touch it."""
    samples = np.stack([random(1, 80)] * 2)
    samples[:, :, 40:50] = random(2, 1, 10, seed=1)
    found = spread(samples, RATE)
    centres = np.rint(found.seconds * RATE)
    touched = (centres + SIZE // 2 > 41) & (centres - SIZE // 2 < 49)
    assert np.abs(found.variance[:, ~touched]).max() < 1e-30
    assert (found.variance[:, touched] > 0).all()
    assert found.share.max() <= 1
    opposite = spread(np.stack((samples[0], -samples[0])), RATE)  # nothing in common
    assert (opposite.share == 1).all()


def test_places_of_a_burst_and_of_a_tone():
    samples = np.zeros((2, 1, 80))
    samples[1, 0, 24] = 1
    found = spread(samples, RATE)
    assert found.seconds[found.variance[0].sum(-1).argmax()] == pytest.approx(24 / RATE)
    samples[0, 0] = np.cos(2 * np.pi * 5 / SIZE * np.arange(80))
    assert spread(samples, RATE).hz[spread(samples, RATE).energy[0].sum(0).argmax()] == 5 * RATE / SIZE


def test_silence_has_no_share():
    found = spread(np.zeros((2, 1, 50)), RATE)
    assert not found.share.any()
    assert spread(np.zeros((2, 1, 0)), RATE).share.shape == (1, 0, SIZE // 2 + 1)
    assert np.isfinite(found.share).all()


@pytest.mark.parametrize("shape", [(1, 2, 30), (4, 30), (30,)])
def test_what_has_no_spread_is_refused(shape):
    with pytest.raises(UsageError, match=r"have no spread: \(2 or more, channels, time\)"):
        spread(np.zeros(shape), RATE)


def test_a_block_of_other_channels_is_refused():
    with pytest.raises(UsageError, match=r"shape \(2, 3, 30\) does not continue"):
        list(spread_of_blocks([np.zeros((2, 1, 30)), np.zeros((2, 3, 30))], RATE))
