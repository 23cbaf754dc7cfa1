"""Averages of the weights over training: power-function profiles (Karras et al. 2024, section 3.1)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

# gamma of relative widths 0.05 and 0.10 (same paper, eq. 127 and its table of values)
SHORT_GAMMA = 16.97
LONG_GAMMA = 6.94


class Averages:
    """Two running averages of a network's parameters, theta_bar <- beta theta_bar + (1 - beta) theta.

    beta = (1 - 1/t) ** (gamma + 1) at step t, so that each average spans a fixed share of the run so far.
    """

    def __init__(self, network: nn.Module) -> None:
        self.step = 0
        self.short = {n: p.detach().clone() for n, p in network.named_parameters()}
        self.long = {n: p.detach().clone() for n, p in network.named_parameters()}

    @torch.no_grad()
    def update(self, network: nn.Module) -> None:
        self.step += 1
        for gamma, average in ((SHORT_GAMMA, self.short), (LONG_GAMMA, self.long)):
            weight = 1 - (1 - 1 / self.step) ** (gamma + 1)
            for name, parameter in network.named_parameters():
                average[name].lerp_(parameter, weight)

    def state(self) -> dict[str, Tensor]:
        """All averages by name, for a checkpoint."""
        return {f"{k}.{n}": t for k, d in (("short", self.short), ("long", self.long)) for n, t in d.items()}

    def load(self, step: int, tensors: Mapping[str, Tensor]) -> None:
        self.step = step
        for kind, average in (("short", self.short), ("long", self.long)):
            for name, tensor in average.items():
                tensor.copy_(tensors[f"{kind}.{name}"])
