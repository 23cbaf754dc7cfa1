"""The networks of CQT-Diff at the paper's widths against what the published code gives.

Run: python benchmarks/published_networks.py

The tests compare narrow networks, since these take a minute; those of the night run this. Printed: the
largest deviation over the largest value, below LIMIT, and how far a float32 evaluation of the
published code is from a float64 one. No checkpoint is needed: parameters are drawn from a generator, in the
order of the state dict.
"""

import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from audiomend.networks.cqtdiff import Architecture, CqtDiff

GOLDEN = Path(__file__).parents[1] / "tests" / "golden" / "cqtdiff_network.npz"
RUNS = {  # seed of the parameters (the next ones draw x and w) and architecture
    "reduced": (27, Architecture(length=8192, octaves=6, bins=48)),
    "paper": (37, Architecture()),
}
LIMIT = 1e-5  # of a deviation; the run fails above it
PUBLISHED_FLOAT32 = {"reduced_output": 7.3e-6, "reduced_gradient": 9.6e-6, "paper_output": 4.4e-6}

Rule = Callable[[str, NDArray[np.float64]], NDArray[np.float64]]


def normal(seed: int, *shape: int) -> Tensor:
    """Float32 values of a generator of its own."""
    values = np.random.Generator(np.random.PCG64(seed)).standard_normal(shape)
    return torch.from_numpy(values.astype(np.float32))


def fill(network: nn.Module, seed: int, rule: Rule, skipped: tuple[str, ...]) -> dict[str, float]:
    """Draw the entries of the state dict, but none whose name ends in one of `skipped`; names and sums."""
    generator = np.random.Generator(np.random.PCG64(seed))
    sums: dict[str, float] = {}
    for name, entry in network.state_dict().items():
        if name.endswith(skipped):
            continue
        drawn = rule(name, generator.standard_normal(tuple(entry.shape)))
        entry.copy_(torch.from_numpy(drawn.astype(np.float32)))
        sums[name] = entry.double().sum().item()
    return sums


def cqtdiff_rule(name: str, z: NDArray[np.float64]) -> NDArray[np.float64]:
    if name.endswith("RFF_freq"):
        return 16 * z
    if name == "freq_encoding.embeddings":
        return z * math.sqrt(0.5)
    if name.endswith(".bias"):
        return 0.1 * z + (1 if ".film." in name else 0)
    if ".film." in name:
        return z / math.sqrt(z.shape[1]) * 2
    return z / math.sqrt(math.prod(z.shape[1:]))


def deviation(golden: str, result: Tensor, path: Path = GOLDEN) -> float:
    """Largest deviation over the largest value, at the places that are stored."""
    stored = np.load(path)
    expected = torch.from_numpy(stored[golden])
    found = result.detach().flatten()[torch.from_numpy(stored[f"{golden}_at"]).long()]
    return ((found - expected).abs().max() / expected.abs().max()).item()


def deviations(name: str) -> Iterator[tuple[str, float]]:
    """(golden, deviation) of what the network of a run of RUNS gives."""
    stored = np.load(GOLDEN)
    seed, architecture = RUNS[name]
    network = CqtDiff(architecture)
    sums = fill(network, seed, cqtdiff_rule, ("resample.kernel",))
    np.testing.assert_allclose(list(sums.values()), stored[f"{name}_sums"], rtol=1e-9)
    guided = f"{name}_gradient" in stored
    x = normal(seed + 1, 1, architecture.length).requires_grad_(guided)
    y = network.requires_grad_(False)(x, torch.from_numpy(stored[f"{name}_level"]))
    yield f"{name}_output", deviation(f"{name}_output", y)
    if guided:
        (y * normal(seed + 2, 1, architecture.length)).sum().backward()
        assert x.grad is not None
        yield f"{name}_gradient", deviation(f"{name}_gradient", x.grad)


def main() -> int:
    failed = False
    for name in RUNS:
        for golden, found in deviations(name):
            print(f"{golden}: {found:.1e}, published {PUBLISHED_FLOAT32[golden]:.1e}", flush=True)
            failed |= not found < LIMIT
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
