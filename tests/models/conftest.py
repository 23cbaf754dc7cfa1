"""Checkpoints as the published training code saves them.

Names and shapes are written out here, by what the published code registers; nothing is asked of the networks
or the importer. `test_published.py` compares them with the names that the goldens of the networks hold.
"""

import sys
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from torch import Tensor

Shapes = dict[str, tuple[int, ...]]

ROWS, WIDTHS = 290, (4, 8)  # of CQT-Diff


@dataclass(frozen=True)
class Plus:
    """Sizes of a CQT-Diff+, highest octave first; the last `attention` is that of the middle."""

    bins: int = 8
    widths: tuple[int, ...] = (8, 8, 16, 16)
    dilations: tuple[int, ...] = (1, 2, 2, 3)
    attention: tuple[bool, ...] = (False, False, True, True, True)
    embedding: int = 32
    heads: int = 2


@dataclass(frozen=True)
class Diff1d:
    """Sizes of a SaShiMi-Diff."""

    width: int = 8
    layers: int = 2
    pool: tuple[int, ...] = (4, 2)
    embedding: tuple[int, int] = (16, 32)


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


def _block(key: str, inputs: int, outputs: int) -> Shapes:
    entries: Shapes = {
        f"{key}.film.output_layer.weight": (inputs, 512),
        f"{key}.film.output_layer.bias": (inputs,),
    }
    if inputs != outputs:
        entries[f"{key}.res_conv.weight"] = (outputs, inputs, 1, 1)
    entries |= {f"{key}.H.{i}.conv.weight": (outputs, outputs, 5, 3) for i in range(8)}
    return entries | {f"{key}.first_conv.1.weight": (outputs, inputs, 1, 1)}


def _noise_embedding(last: int) -> Shapes:
    entries: Shapes = {"embedding.RFF_freq": (1, 32)}
    for i, (old, new) in enumerate(((64, 128), (128, 256), (256, last))):
        entries |= _linear(f"embedding.MLP.{i}", old, new)
    return entries


def _linear(key: str, inputs: int, outputs: int) -> Shapes:
    return {f"{key}.weight": (outputs, inputs), f"{key}.bias": (outputs,)}


def cqtdiff_shapes(rows: int, widths: tuple[int, ...]) -> Shapes:
    """The state dict of CQT-Diff, in the order of registration."""
    entries = _noise_embedding(512)
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


def _gated_block(
    key: str, widths: tuple[int, int, int], layers: int, kernel: tuple[int, int], plus: Plus, rows: int = 0
) -> Shapes:
    """A block of CQT-Diff+ of so many channels in, inside and out; with attention over `rows`."""
    inputs, inner, outputs = widths
    entries: Shapes = {}
    if inner != outputs:
        entries[f"{key}.proj_out.weight"] = (outputs, inner, 1, 1)
    if inputs != outputs:
        entries[f"{key}.res_conv.weight"] = (outputs, inputs, 1, 1)
    if inputs != inner:
        entries[f"{key}.proj_in.weight"] = (inner, inputs, 1, 1)
    entries |= {f"{key}.H.{i}.weight": (inner, inner, *kernel) for i in range(layers)}
    for name in ("affine", "gate"):
        for i in range(layers):
            entries |= _linear(f"{key}.{name}.{i}", plus.embedding, inner)
    entries |= {f"{key}.norm.{i}.gamma": (1, inner, 1, 1) for i in range(layers)}
    if rows:
        entries[f"{key}.norm2.gamma"] = (1, inner, 1, 1)
        entries |= _linear(f"{key}.affine2", plus.embedding, inner)
        entries |= _linear(f"{key}.gate2", plus.embedding, inner)
        features = plus.heads * rows
        entries[f"{key}.attn_block.qk.weight"] = (2 * features, features, 1)
        entries[f"{key}.attn_block.proj_in.weight"] = (plus.heads, inner, 1, 1)
        entries[f"{key}.attn_block.proj_out.weight"] = (inner, plus.heads, 1, 1)
        entries[f"{key}.attn_block.rel_pos.relative_attention_bias.weight"] = (32, plus.heads)
    return entries


def plus_shapes(plus: Plus) -> Shapes:
    """The state dict of CQT-Diff+."""
    entries = _noise_embedding(plus.embedding)
    entries |= {"downsamplerT.kernel": (8,), "upsamplerT.kernel": (8,)}
    wide, last = plus.widths, len(plus.widths) - 1
    rows = [(i + 1) * plus.bins * attends for i, attends in enumerate(plus.attention[:-1])]
    for i, width in enumerate(wide):
        old = wide[max(i - 1, 0)]
        entries |= _gated_block(f"downs.{i}.0", (2, old, old), 1, (1, 1), plus)
        entries[f"downs.{i}.1.weight"] = (width, 2, 5, 3)
        entries |= _gated_block(f"downs.{i}.2", (old, width, width), plus.dilations[i], (5, 3), plus, rows[i])
    all_rows = len(wide) * plus.bins * plus.attention[-1]
    inner = wide[-1]
    entries |= _gated_block("middle.0.0", (inner, inner, 2), 1, (1, 1), plus)
    entries |= _gated_block("middle.0.1", (inner, inner, inner), plus.dilations[-1], (5, 3), plus, all_rows)
    for k, i in enumerate(reversed(range(last + 1))):
        to = wide[max(i - 1, 0)]
        entries |= _gated_block(f"ups.{k}.0", (to, to, 2), 1, (1, 1), plus)
        entries |= _gated_block(f"ups.{k}.1", (2 * wide[i], to, to), plus.dilations[i], (5, 3), plus, rows[i])
    return entries


def _normed_conv(key: str, inputs: int, outputs: int) -> Shapes:
    return {
        f"{key}.conv.bias": (outputs,),
        f"{key}.conv.weight_g": (outputs, 1, 1),
        f"{key}.conv.weight_v": (outputs, inputs, 1),
    }


def _s4_block(key: str, width: int) -> Shapes:
    kernel = f"{key}.layer.kernel.kernel"
    return {
        **_linear(f"{key}.fc_t", 512, width),
        f"{key}.layer.D": (1, width),
        f"{kernel}.C": (2, width, 32, 2),
        f"{kernel}.log_dt": (width,),
        f"{kernel}.B": (1, width, 32, 2),
        f"{kernel}.P": (1, width, 32, 2),
        f"{kernel}.inv_w_real": (width, 32),
        f"{kernel}.w_imag": (width, 32),
        f"{kernel}.L": (),
        f"{key}.layer.output_linear.0.weight": (2 * width, width, 1),
        f"{key}.layer.output_linear.0.bias": (2 * width,),
        **_normed_conv(f"{key}.ff.ff.0", width, 2 * width),
        **_normed_conv(f"{key}.ff.ff.2", 2 * width, width),
        **{f"{key}.{norm}.{name}": (1,) for norm in ("norm1", "norm2") for name in "ms"},
    }


def sashimi_shapes(sizes: Diff1d) -> Shapes:
    """The state dict of SaShiMi-Diff."""
    first, second = sizes.embedding
    entries = _normed_conv("init_conv.0", 1, sizes.width)
    entries |= _linear("fc_t1", first, second) | _linear("fc_t2", second, 512)
    width, place = sizes.width, 0
    for pool in sizes.pool:
        for _ in range(sizes.layers):
            entries |= _s4_block(f"d_layers.{place}", width)
            place += 1
        entries |= _normed_conv(f"d_layers.{place}.linear", pool * width, 2 * width)
        width, place = 2 * width, place + 1
    for i in range(sizes.layers):
        entries |= _s4_block(f"c_layers.{i}", width)
    place = 0
    for pool in reversed(sizes.pool):
        entries |= _normed_conv(f"u_layers.{place}.linear", width, pool * width // 2)
        width, place = width // 2, place + 1
        for _ in range(sizes.layers):
            entries |= _s4_block(f"u_layers.{place}", width)
            place += 1
    entries |= {"norm.m": (1,), "norm.s": (1,)}
    entries |= _normed_conv("final_conv.0", width, width)
    return entries | {"final_conv.2.conv.weight": (1, width, 1), "final_conv.2.conv.bias": (1,)}


def _drawn(shapes: Shapes, seed: int) -> "OrderedDict[str, Tensor]":
    generator = torch.Generator().manual_seed(seed)
    return OrderedDict(
        (name, 0.1 * torch.randn(shape, generator=generator)) for name, shape in shapes.items()
    )


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


def _plus() -> Checkpoint:
    raw, averages = _drawn(plus_shapes(Plus()), 3), _drawn(plus_shapes(Plus()), 4)
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
    raw = _drawn(sashimi_shapes(Diff1d()), 5)
    raw |= {name: torch.tensor(16000) for name in raw if name.endswith("kernel.L")}
    content = {"model_state_dict": raw, "optimizer_state_dict": _adam(raw)}
    return Checkpoint("sashimi", content, raw, {}, ())


@pytest.fixture
def checkpoint(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], Checkpoint]:
    """A small checkpoint of a layout."""
    package, module = ModuleType("omegaconf"), ModuleType("omegaconf.dictconfig")
    module.DictConfig = type("DictConfig", (), {"__module__": module.__name__})  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "omegaconf", package)
    monkeypatch.setitem(sys.modules, "omegaconf.dictconfig", module)
    made = {"cqtdiff": _cqtdiff, "cqtdiff-plus": _plus, "sashimi": _sashimi}
    return lambda layout: made[layout]()


@pytest.fixture
def saved(checkpoint: Callable[[str], Checkpoint], tmp_path: Path) -> Callable[..., tuple[Path, Checkpoint]]:
    """A small checkpoint's file and what it holds."""

    def save(layout: str, **changes: object) -> tuple[Path, Checkpoint]:
        made = checkpoint(layout)
        torch.save({**made.content, **changes}, tmp_path / "weights.pt")
        return tmp_path / "weights.pt", made

    return save


@pytest.fixture
def layouts() -> dict[str, Shapes]:
    """The state dicts of the sizes that the goldens of the networks have."""
    return {
        "cqtdiff": cqtdiff_shapes(290, (8, 16, 16, 32, 32, 32)),
        "cqtdiff_plus": plus_shapes(Plus()),
        "sashimi": sashimi_shapes(Diff1d(layers=1, pool=(4, 4))),
    }
