"""Published checkpoints made models: CQT-Diff, CQT-Diff+ (with BABE and BABE-2), SaShiMi-Diff.

Sizes of the network are read off the shapes of the tensors. What no shape shows, such as the sample rate, is
the published value unless the caller knows better. A file is read by `audiomend.models.torch_file`: nothing
of it runs, and every tensor is compared by name, type and shape with what the network has before it is read.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

import torch
from safetensors.torch import save as to_bytes
from torch import Tensor, nn

from audiomend.errors import ModelError, OptionError, UsageError
from audiomend.models.card import Card
from audiomend.models.pickled import Stored, quoted
from audiomend.models.prior import arguments_of
from audiomend.models.store import write_model
from audiomend.models.torch_file import TorchFile
from audiomend.networks import cqtdiff, cqtdiff_plus, sashimi

WEIGHTS = ("ema", "raw")
_COMPUTED = ".resample.kernel"  # buffers that the network can compute itself
_MOST_LEVELS = 16  # of a network, layers of a level: more than twice the published ones
_WIDEST = 2048  # channels of SaShiMi-Diff's coarsest level, four times the published ones


@dataclass(frozen=True)
class Facts:
    """What no tensor shows; None is the published value.

    Attributes:
        rate: samples per second.
        length: samples of a window.
        bins: bands per octave; SaShiMi-Diff has none.
        sigma_data: RMS of the training data.
    """

    rate: int | None = None
    length: int | None = None
    bins: int | None = None
    sigma_data: float | None = None

    def __post_init__(self) -> None:
        for name, value in vars(self).items():
            if value is not None and not 0 < value <= 2**24:
                raise OptionError(name, f"is {value:g}; it must lie above 0 and be at most 2^24.")


@dataclass(frozen=True)
class Imported:
    """A model that was made from a checkpoint.

    Attributes:
        folder, card: of the model.
        taken: which weights it has, of WEIGHTS.
        offered: those that the file holds.
    """

    folder: Path
    card: Card
    taken: str
    offered: tuple[str, ...]


Shapes = Mapping[str, tuple[int, ...]]
Architecture = cqtdiff.Architecture | cqtdiff_plus.Architecture | sashimi.Architecture


@dataclass(frozen=True)
class _Sizes:
    """A network that fits the shapes, and the facts that are left."""

    architecture: Architecture
    facts: Facts


@dataclass(frozen=True)
class _Layout:
    """How a checkpoint is laid out.

    Attributes:
        raw, averages: entries of the two sets of weights; the averages are a dictionary, or a list without
            names.
        step: entry of the training's iteration.
        network: of an architecture.
        sizes: from the shapes of the tensors.
        preconditioning: as docs/how-it-works.md names it.
        what: for people.
        assumed: what the published code leaves open.
    """

    raw: str
    averages: str | None
    step: str
    network: Callable[..., nn.Module]
    sizes: Callable[[Shapes, Facts], _Sizes]
    preconditioning: str
    what: str
    assumed: tuple[str, ...] = ()


def import_model(
    source: Path,
    layout: str,
    folder: Path,
    *,
    name: str,
    weights: str | None = None,
    facts: Facts = Facts(),
    sha256: str | None = None,
    licence: str = "not stated in the checkpoint: that of its publisher",
    force: bool = False,
) -> Imported:
    """Read a published checkpoint and write it as a model's folder.

    Args:
        source: a file of torch.save.
        layout: one of LAYOUTS.
        folder: to be written, whole or not at all.
        name: of the model, for its card.
        weights: ema, raw, or None for the averages where the file has them.
        facts: what the file does not hold.
        sha256: that the file must have.
        licence: of the weights, for its card.
        force: replace a folder that is there.

    Raises:
        ModelError: the file is no such checkpoint, is damaged or not safe, or the folder cannot be written.
        UsageError: unknown layout or weights, or a folder that exists without `force`.
    """
    if layout not in LAYOUTS:
        raise UsageError(f"The layout {layout} is unknown; it is one of {', '.join(LAYOUTS)}.")
    if weights not in (None, *WEIGHTS):
        raise UsageError(f"The weights {weights} are unknown; they are one of {', '.join(WEIGHTS)}.")
    if folder.exists() and not force:
        raise UsageError(f"{folder} exists; --force replaces it")
    chosen = LAYOUTS[layout]
    with TorchFile(source, sha256) as file:
        try:
            content = _entries(file.content)
            sets = _sets(content, chosen)
            taken = weights or next(iter(sets))
            if taken not in sets:
                raise ModelError(f"It holds no {taken} weights, only {', '.join(sets)}.")
            sizes, tensors = _fitted(file, sets[taken], chosen, facts)
        except (UsageError, ModelError) as error:
            raise (
                error if str(source) in str(error) else ModelError(f"{source} was refused. {error}")
            ) from None
        step = content.get(chosen.step)
        about = _about(source, file.sha256, taken, tuple(sets), step if type(step) is int else None)
    card = replace(_card(name, chosen, sizes, taken, about), weights_licence=licence)
    return Imported(folder, write_model(card, to_bytes(tensors), folder), taken, tuple(sets))


def _entries(content: object) -> dict[str, object]:
    if not isinstance(content, dict):
        raise ModelError(f"It holds a {type(content).__name__} where a checkpoint is a dictionary.")
    return cast(dict[str, object], content)


def _sets(content: Mapping[str, object], layout: _Layout) -> dict[str, dict[str, Stored]]:
    """The sets of weights that a checkpoint has, averages first."""
    if layout.raw not in content:
        shown = ", ".join(quoted(key) for key in list(content)[:8]) or "nothing"
        raise ModelError(f"It has no entry {layout.raw!r} for the weights; it has {shown}.")
    raw = _tensors(content[layout.raw], layout.raw)
    if layout.averages is None or layout.averages not in content:
        return {"raw": raw}
    averages = content[layout.averages]
    if isinstance(averages, list):
        return {"ema": _paired(raw, cast(list[object], averages), layout.averages), "raw": raw}
    return {"ema": _tensors(averages, layout.averages), "raw": raw}


def _tensors(values: object, entry: str) -> dict[str, Stored]:
    if not isinstance(values, dict):
        raise ModelError(f"Its entry {entry!r} is no dictionary of tensors.")
    tensors = cast(dict[object, object], values)
    odd = next((k for k, v in tensors.items() if not (isinstance(k, str) and isinstance(v, Stored))), None)
    if odd is not None:
        raise ModelError(f"Its entry {entry!r} holds {quoted(odd)}, which is no tensor with a name.")
    return cast(dict[str, Stored], tensors)


def _paired(raw: Mapping[str, Stored], averages: list[object], entry: str) -> dict[str, Stored]:
    """Averages of the parameters, a list in the order of registration, under their names.

    The buffers in the state dict were not averaged. The published loader counts them in, which moves every
    average to another name, fails, and goes back to the raw weights without a word.
    """
    names = [name for name in raw if not name.endswith(_COMPUTED)]
    if len(names) != len(averages):
        raise ModelError(f"Its entry {entry!r} has {len(averages)} averages for {len(names)} parameters.")
    for name, average in zip(names, averages, strict=True):
        if not isinstance(average, Stored) or average.shape != raw[name].shape:
            raise ModelError(
                f"Its entry {entry!r} does not pair with the parameters: {quoted(name)} differs."
            )
    return {**raw, **cast(dict[str, Stored], dict(zip(names, averages, strict=True)))}


def _fitted(
    file: TorchFile, stored: Mapping[str, Stored], layout: _Layout, facts: Facts
) -> tuple[_Sizes, dict[str, Tensor]]:
    """The network's sizes, and its tensors as it has them."""
    shapes = {name: tensor.shape for name, tensor in stored.items()}
    sizes = layout.sizes(shapes, facts)
    with torch.device("meta"):  # names and shapes without numbers
        expected = layout.network(sizes.architecture).state_dict()
    _compare(expected, stored)
    tensors = file.read(stored)
    if missing := expected.keys() - tensors.keys():
        computed = layout.network(sizes.architecture).state_dict()
        tensors |= {name: computed[name] for name in missing}
    fitted = {name: tensors[name].to(like.dtype).contiguous() for name, like in expected.items()}
    for name, tensor in fitted.items():
        if not tensor.isfinite().all() or (not tensor.is_floating_point() and (tensor < 0).any()):
            raise ModelError(
                f"The tensor {name} holds numbers that no training gives (NaN, infinite, or below 0)."
            )
    return sizes, fitted


def _compare(expected: Mapping[str, Tensor], stored: Mapping[str, Stored]) -> None:
    missing = [name for name in expected.keys() - stored.keys() if not name.endswith(_COMPUTED)]
    if missing:
        raise ModelError(f"It lacks {len(missing)} tensors of the network, {min(missing)} among them.")
    if odd := stored.keys() - expected.keys():
        raise ModelError(
            f"It has {len(odd)} tensors that the network has not, {quoted(min(odd))} among them."
        )
    for name, tensor in stored.items():
        like, dtype = expected[name], getattr(torch, tensor.storage.dtype)
        if tensor.shape != tuple(like.shape):
            raise ModelError(f"The tensor {name} has the shape {tensor.shape}, not {tuple(like.shape)}.")
        if dtype.is_floating_point != like.is_floating_point() or dtype == torch.bool:
            raise ModelError(
                f"The tensor {name} is of {tensor.storage.dtype}, where {like.dtype} is expected."
            )


def _about(source: Path, sha256: str, taken: str, offered: Iterable[str], step: int | None) -> dict[str, Any]:
    """The card's entry on where the weights come from."""
    entry: dict[str, Any] = {
        "what": f"not stated in the checkpoint {source.name}",
        "licence": "not stated there",
        "checkpoint": f"SHA-256 {sha256}",
        "weights": f"{taken} weights of {', '.join(offered)}",
    }
    return entry if step is None else {**entry, "step": f"step {step}"}


def _card(name: str, layout: _Layout, sizes: _Sizes, taken: str, about: Mapping[str, Any]) -> Card:
    facts = sizes.facts
    assert facts.rate is not None
    assert facts.sigma_data is not None
    kind = "averages of its" if taken == "ema" else "raw"
    return Card(
        name=name,
        summary=f"{layout.what} at {facts.rate / 1000:g} kHz from a published checkpoint, {kind} weights.",
        architecture=layout.network.__name__,
        arguments={"length": facts.length, **arguments_of(sizes.architecture)},
        process="EDM",
        preconditioning=layout.preconditioning,
        rate=facts.rate,
        sigma_data=facts.sigma_data,
        conditioned=False,
        segments=0,
        cpu_hours=0.0,
        training_data=[dict(about)],
        withheld=[],
        weights_licence="",
        figures={},
        limits=[
            "Imported, not measured here.",
            "Its training is not known to this card: segments and hours are 0.",
            *layout.assumed,
        ],
        sha256="",
    )


def _filled(facts: Facts, published: Facts) -> Facts:
    """What the caller said, and else what was published."""
    said = {name: value for name, value in vars(facts).items() if value is not None}
    return replace(published, **said)


def _count(shapes: Shapes, pattern: str) -> int:
    """How many of pattern.format(0), pattern.format(1), ... there are."""
    found = next((i for i in range(_MOST_LEVELS + 1) if pattern.format(i) not in shapes), _MOST_LEVELS + 1)
    if not 0 < found <= _MOST_LEVELS:
        raise ModelError(
            f"It has {found or 'no'} tensors like {pattern.format(0)}, so it is another network."
        )
    return found


def _shape(shapes: Shapes, name: str, dimensions: int) -> tuple[int, ...]:
    shape = shapes.get(name)
    if shape is None or len(shape) != dimensions or 0 in shape:
        raise ModelError(f"Its tensor {name} has the shape {shape}, so it is another network.")
    return shape


def _cqtdiff(shapes: Shapes, facts: Facts) -> _Sizes:
    facts = _filled(facts, Facts(rate=22050, length=65536, bins=64, sigma_data=0.057))
    assert facts.rate is not None
    assert facts.length is not None
    assert facts.bins is not None
    levels = _count(shapes, "downs.{}.0.first_conv.1.weight")
    bands = _shape(shapes, "freq_encoding.embeddings", 3)[2] - 2  # of 0 Hz and Nyquist
    if bands % facts.bins or bands // facts.bins > _MOST_LEVELS:
        raise ModelError(f"Its {bands} bands are not a whole number of octaves of {facts.bins}; see --bins.")
    widths = (_shape(shapes, f"downs.{i}.0.first_conv.1.weight", 4)[0] for i in range(levels))
    return _Sizes(
        cqtdiff.Architecture(facts.rate, facts.length, bands // facts.bins, facts.bins, tuple(widths)), facts
    )


_PLUS: dict[tuple[tuple[int, ...], tuple[int, ...]], Facts] = {  # by widths and convolutions of the levels
    ((64, 96, 96, 128, 128, 256, 256), (2, 3, 4, 5, 6, 7, 7)): Facts(22050, 184184, 64, 0.063),
    ((64, 64, 96, 96, 128, 128, 256, 256), (2, 3, 4, 5, 6, 7, 8, 8)): Facts(44100, 184184, 64, 0.063),
    ((32, 32, 64, 64, 128, 128, 256, 256), (1, 3, 4, 5, 5, 6, 6, 7)): Facts(44100, 262144, 32, 1.0),  # voices
}


def _cqtdiff_plus(shapes: Shapes, facts: Facts) -> _Sizes:
    octaves = _count(shapes, "downs.{}.1.weight")
    widths = tuple(_shape(shapes, f"downs.{i}.1.weight", 4)[0] for i in range(octaves))
    dilations = tuple(_count(shapes, f"downs.{i}.2.H.{{}}.weight") for i in range(octaves))
    facts = _filled(facts, _PLUS.get((widths, dilations), Facts(sigma_data=0.063)))
    if facts.rate is None or facts.length is None or facts.bins is None:
        raise ModelError(
            f"No published network has levels of {widths} channels and {dilations} convolutions; "
            "--rate, --length and --bins must be given."
        )
    blocks = [*(f"downs.{i}.2" for i in range(octaves)), "middle.0.1"]
    attention = tuple(f"{block}.attn_block.qk.weight" in shapes for block in blocks)
    heads = {
        _shape(shapes, f"{block}.attn_block.proj_in.weight", 4)[0]
        for block, attends in zip(blocks, attention, strict=True)
        if attends
    }
    return _Sizes(
        cqtdiff_plus.Architecture(
            rate=facts.rate,
            length=facts.length,
            octaves=octaves,
            bins=facts.bins,
            widths=widths,
            dilations=dilations,
            attention=attention,
            embedding=_shape(shapes, "embedding.MLP.2.weight", 2)[0],
            heads=min(heads, default=8),
            relative_positions=any(".attn_block.rel_pos." in name for name in shapes),
        ),
        facts,
    )


def _sashimi(shapes: Shapes, facts: Facts) -> _Sizes:
    facts = _filled(facts, Facts(rate=16000, length=16000, sigma_data=0.1))
    layers = _count(shapes, "c_layers.{}.fc_t.weight")
    width = _shape(shapes, "init_conv.0.conv.weight_v", 3)[0]
    pools: list[int] = []
    while (name := f"d_layers.{(layers + 1) * len(pools) + layers}.linear.conv.weight_v") in shapes:
        inputs = _shape(shapes, name, 3)[1]
        pools.append(inputs // (width << len(pools)))
        if width << len(pools) > _WIDEST:
            raise ModelError(f"Its coarsest level has more than {_WIDEST} channels.")
    first, second = _shape(shapes, "fc_t1.weight", 2)[::-1], _shape(shapes, "fc_t2.weight", 2)
    waves = first[0] // 2  # sines, and as many cosines
    if not pools or 0 in pools or width > _WIDEST or first[1] != second[1] or first[0] != 2 * max(waves, 2):
        raise ModelError("Its levels do not fit together, so it is another network.")
    architecture = sashimi.Architecture(width, layers, tuple(pools), (first[0], first[1]))
    assert facts.length is not None
    if facts.length % architecture.pooled:
        raise ModelError(f"A window of {facts.length} samples is no multiple of {architecture.pooled}.")
    return _Sizes(architecture, facts)


LAYOUTS = {
    "cqtdiff": _Layout(
        "model", "ema_weights", "step", cqtdiff.CqtDiff, _cqtdiff, preconditioning="EDM", what="CQT-Diff"
    ),
    "cqtdiff-plus": _Layout(
        "network",
        "ema",
        "it",
        cqtdiff_plus.CqtDiffPlus,
        _cqtdiff_plus,
        preconditioning="EDM",
        what="CQT-Diff+",
    ),
    "sashimi": _Layout(
        "model_state_dict",
        None,
        "iter",
        sashimi.Sashimi,
        _sashimi,
        preconditioning="DDPM",
        what="SaShiMi-Diff",
        assumed=(
            "The level of its training data is not published: an RMS of 0.1 is assumed unless it was given.",
        ),
    ),
}
