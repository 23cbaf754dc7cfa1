"""Checkpoints as the published training code saves them, written from the description of their layout."""

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from audiomend.networks import cqtdiff_plus, sashimi

ROWS, WIDTHS = 290, (4, 8)
SASHIMI = sashimi.Architecture(width=8, layers=2, pool=(4, 2), embedding=(16, 32))


@dataclass(frozen=True)
class Checkpoint:
    """What a file holds.

    Attributes:
        layout: as --as names it.
        content: as it is given to torch.save.
        raw, averages: the weights by name; no averages for SaShiMi-Diff.
        options: of the command line, which the network's size needs.
    """

    layout: str
    content: dict[str, Any]
    raw: dict[str, Tensor]
    averages: dict[str, Tensor]
    options: tuple[str, ...]


def _block(key: str, inputs: int, outputs: int) -> dict[str, tuple[int, ...]]:
    entries: dict[str, tuple[int, ...]] = {
        f"{key}.film.output_layer.weight": (inputs, 512),
        f"{key}.film.output_layer.bias": (inputs,),
    }
    if inputs != outputs:
        entries[f"{key}.res_conv.weight"] = (outputs, inputs, 1, 1)
    entries |= {f"{key}.H.{i}.conv.weight": (outputs, outputs, 5, 3) for i in range(8)}
    return entries | {f"{key}.first_conv.1.weight": (outputs, inputs, 1, 1)}


def cqtdiff_shapes(rows: int, widths: tuple[int, ...]) -> dict[str, tuple[int, ...]]:
    """The state dict of CQT-Diff, in the order of registration."""
    entries: dict[str, tuple[int, ...]] = {"embedding.RFF_freq": (1, 32)}
    for i, (old, new) in enumerate(((64, 128), (128, 256), (256, 512))):
        entries |= {f"embedding.MLP.{i}.weight": (new, old), f"embedding.MLP.{i}.bias": (new,)}
    entries |= {"freq_encoding.RFF_freq": (1, 32), "freq_encoding.embeddings": (1, 64, rows)}
    entries["init_conv.weight"] = (widths[0], 66, 5, 3)
    last = len(widths) - 1
    for i, width in enumerate(widths):
        entries |= _block(f"downs.{i}.0", widths[max(i - 1, 0)], width)
        if i < last:
            entries[f"downs.{i}.1.resample.kernel"] = (1, 1, 28)
            entries[f"downs.{i}.2.conv1x1.weight"] = (width, 2, 1, 1)
    entries |= _block("middle.0.0", widths[-1], widths[-1])
    for k, i in enumerate(reversed(range(len(widths)))):
        to = widths[max(i - 1, 0)]
        entries |= _block(f"ups.{k}.0", 2 * widths[i], to)
        if i > 0:
            entries[f"ups.{k}.1.resample.kernel"] = (2, 1, 15)
            entries[f"ups.{k}.2.conv1x1.weight"] = (2, to, 1, 1)
    return entries


def _drawn(shapes: dict[str, tuple[int, ...]], seed: int) -> "OrderedDict[str, Tensor]":
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict(
        (name, 0.1 * torch.randn(shape, generator=generator)) for name, shape in shapes.items()
    )


def _filled(network: nn.Module, seed: int) -> "OrderedDict[str, Tensor]":
    state = network.state_dict()
    drawn = _drawn({name: tuple(tensor.shape) for name, tensor in state.items()}, seed)
    whole = {name: torch.tensor(16000) for name, tensor in state.items() if not tensor.is_floating_point()}
    return OrderedDict({**drawn, **whole})


def _adam(tensors: dict[str, Tensor]) -> dict[str, Any]:
    state = {
        i: {"step": torch.tensor(7.0), "exp_avg": t + 1, "exp_avg_sq": t * t}
        for i, t in enumerate(tensors.values())
    }
    return {"state": state, "param_groups": [{"lr": 2e-4, "betas": (0.9, 0.999), "params": list(state)}]}


def _cqtdiff() -> Checkpoint:
    raw, shapes = {}, cqtdiff_shapes(ROWS, WIDTHS)
    raw = _drawn(shapes, 1)
    averages = _drawn(shapes, 2)
    kernels = {name for name in shapes if name.endswith("resample.kernel")}
    trained = [tensor for name, tensor in averages.items() if name not in kernels]
    content = {"step": 1234, "model": raw, "ema_weights": trained}
    averages = {name: raw[name] if name in kernels else tensor for name, tensor in averages.items()}
    return Checkpoint("cqtdiff", content, raw, averages, ("--length", "6000", "--bins", "48"))


def configuration() -> object:
    """An object that pickles as one of omegaconf, which the published training stores."""
    module = sys.modules["omegaconf.dictconfig"]
    made = module.DictConfig()
    made.__dict__ = {"_content": {"exp": made, "any": Any, "kind": dict, "rate": [22050, 0.5, None, True]}}
    return made


def _plus(architecture: cqtdiff_plus.Architecture) -> Checkpoint:
    raw = _filled(cqtdiff_plus.CqtDiffPlus(architecture), 3)
    averages = _filled(cqtdiff_plus.CqtDiffPlus(architecture), 4)
    content = {
        "it": 850_000,
        "network": raw,
        "optimizer": _adam(raw),
        "ema": averages,
        "args": configuration(),
        "LTAS": torch.ones(5),
    }
    options = ("--rate", "22050", "--length", "4096", "--bins", "8")
    return Checkpoint("cqtdiff-plus", content, raw, averages, options)


def _sashimi() -> Checkpoint:
    raw = _filled(sashimi.Sashimi(SASHIMI), 5)
    content = {"model_state_dict": raw, "optimizer_state_dict": _adam(raw)}
    return Checkpoint("sashimi", content, raw, {}, ())


@pytest.fixture
def checkpoint(
    monkeypatch: pytest.MonkeyPatch, narrow_plus: cqtdiff_plus.Architecture
) -> Callable[[str], Checkpoint]:
    """A small checkpoint of a layout."""
    package, module = ModuleType("omegaconf"), ModuleType("omegaconf.dictconfig")
    module.DictConfig = type("DictConfig", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", package)
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    made = {"cqtdiff": _cqtdiff, "cqtdiff-plus": partial(_plus, narrow_plus), "sashimi": _sashimi}
    return lambda layout: made[layout]()


@pytest.fixture
def saved(checkpoint: Callable[[str], Checkpoint], tmp_path: Path) -> Callable[..., tuple[Path, Checkpoint]]:
    """A small checkpoint's file and what it holds."""

    def save(layout: str, **changes: object) -> tuple[Path, Checkpoint]:
        made = checkpoint(layout)
        torch.save({**made.content, **changes}, tmp_path / "weights.pt")
        return tmp_path / "weights.pt", made

    return save
