"""Muon for matrices and kernels, Adam for the rest."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

_ADAM_MATRICES = ("embedding", "modulation", "out_")  # steering and last layers train better with Adam
_NAMES = ("muon", "adam")


class Optimisers:
    """Both optimisers as one, with one schedule and one state.

    Muon (Jordan et al. 2024) orthogonalises the momentum of each matrix; its update is scaled to the RMS of
    Adam's (Liu et al. 2025, eq. 4), so that one kind of rate fits all shapes.
    """

    def __init__(self, network: nn.Module, muon_rate: float, adam_rate: float) -> None:
        matrices: list[nn.Parameter] = []
        rest: list[nn.Parameter] = []
        for name, p in network.named_parameters():
            is_matrix = p.ndim == 2 and name.endswith("weight") and not any(a in name for a in _ADAM_MATRICES)
            (matrices if is_matrix else rest).append(p)
        self._rates = (muon_rate, adam_rate)
        self._all: tuple[torch.optim.Optimizer, ...] = (
            torch.optim.Muon(matrices, lr=muon_rate, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"),
            torch.optim.Adam(rest, lr=adam_rate, betas=(0.9, 0.99), fused=True),
        )

    def step(self, factor: float) -> None:
        """One update at `factor` times the rates; clears the gradients."""
        for optimiser, rate in zip(self._all, self._rates, strict=True):
            for group in optimiser.param_groups:
                group["lr"] = rate * factor
            optimiser.step()
        self.clear()

    def clear(self) -> None:
        for optimiser in self._all:
            optimiser.zero_grad(set_to_none=True)

    def state(self) -> dict[str, Tensor]:
        """Momenta and counters by name, for a checkpoint."""
        return {
            f"{kind}.{index}.{key}": value
            for kind, optimiser in zip(_NAMES, self._all, strict=True)
            for index, values in optimiser.state_dict()["state"].items()
            for key, value in values.items()
        }

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        for kind, optimiser in zip(_NAMES, self._all, strict=True):
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in tensors.items():
                if name.startswith(f"{kind}."):
                    _, index, key = name.split(".")
                    state.setdefault(int(index), {})[key] = value
            optimiser.load_state_dict(
                {"state": state, "param_groups": optimiser.state_dict()["param_groups"]}
            )
