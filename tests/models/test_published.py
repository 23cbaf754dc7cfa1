"""Published checkpoints become models: every tensor arrives under its name, and the model mends."""

import dataclasses
import hashlib
import math
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from audiomend.cli.app import run
from audiomend.errors import ModelError, UsageError
from audiomend.models.card import Card, read_card
from audiomend.models.prior import PublishedPrior, load
from audiomend.models.published import LAYOUTS, Facts, import_model
from audiomend.models.torch_file import TorchFile
from audiomend.restorers.diffusion import windows_for

FACTS = {
    "cqtdiff": Facts(length=6000, bins=48),
    "cqtdiff-plus": Facts(rate=22050, length=4096, bins=8),
    "sashimi": Facts(length=1600),
}
SETS = [
    ("cqtdiff", "ema"),
    ("cqtdiff", "raw"),
    ("cqtdiff-plus", "ema"),
    ("cqtdiff-plus", "raw"),
    ("sashimi", "raw"),
]


def same(left: dict[str, Tensor], right: dict[str, Tensor]) -> bool:
    return left.keys() == right.keys() and all(torch.equal(left[name], right[name]) for name in left)


@pytest.mark.parametrize("network", ["cqtdiff", "cqtdiff_plus", "sashimi"])
def test_the_written_layouts_have_the_names_of_the_goldens(network: str, layouts: dict) -> None:
    """But for what the goldens do not draw: kernels of resamplers, and the fixed parts of S4's systems."""
    golden = np.load(Path(__file__).parents[1] / "golden" / f"{network}_network.npz")
    computed = ("kernel", "kernel.B", "kernel.P", ".inv_w_real", ".w_imag", "kernel.L")
    written = [name for name in layouts[network] if not name.endswith(computed)]
    assert sorted(written) == sorted(golden["names"].tolist())


@pytest.mark.parametrize(("layout", "weights"), SETS)
def test_every_tensor_arrives_under_its_name(
    layout: str, weights: str, saved: Callable, tmp_path: Path
) -> None:
    path, checkpoint = saved(layout)
    made = import_model(path, layout, tmp_path / "m", name="mine", weights=weights, facts=FACTS[layout])
    tensors = load_file(made.folder / "weights.safetensors")
    assert same(tensors, checkpoint.averages if weights == "ema" else checkpoint.raw)
    assert made.taken == weights
    assert made.offered == (("raw",) if layout == "sashimi" else ("ema", "raw"))
    assert made.card == read_card(made.folder)
    prior = load(made.folder)
    assert isinstance(prior, PublishedPrior)
    assert same(dict(prior.network.state_dict()), tensors)
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m", "weights.pt"]


def test_averages_are_taken_unless_raw_weights_are_asked_for(saved: Callable, tmp_path: Path) -> None:
    path, checkpoint = saved("cqtdiff")
    made = import_model(path, "cqtdiff", tmp_path / "m", name="mine", facts=FACTS["cqtdiff"])
    assert made.taken == "ema"
    assert same(load_file(made.folder / "weights.safetensors"), checkpoint.averages)
    (about,) = made.card.training_data
    assert about["weights"] == "ema weights of ema, raw"
    assert about["step"] == "step 1234"
    assert about["checkpoint"] == f"SHA-256 {hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_without_averages_raw_weights_are_taken_and_stated(saved: Callable, tmp_path: Path) -> None:
    path, checkpoint = saved("cqtdiff")
    torch.save({"model": checkpoint.raw}, path)
    made = import_model(path, "cqtdiff", tmp_path / "m", name="mine", facts=FACTS["cqtdiff"])
    assert (made.taken, made.offered) == ("raw", ("raw",))
    with pytest.raises(ModelError, match="no ema weights, only raw"):
        import_model(path, "cqtdiff", tmp_path / "n", name="n", weights="ema", facts=FACTS["cqtdiff"])


def test_resampling_kernels_may_be_left_out(saved: Callable, tmp_path: Path) -> None:
    path, checkpoint = saved("cqtdiff")
    raw = {name: tensor for name, tensor in checkpoint.raw.items() if "kernel" not in name}
    torch.save({**checkpoint.content, "model": raw}, path)
    made = import_model(path, "cqtdiff", tmp_path / "m", name="mine", facts=FACTS["cqtdiff"])
    tensors = load_file(made.folder / "weights.safetensors")
    kernel = tensors["downs.0.1.resample.kernel"]
    assert kernel.sum().item() == pytest.approx(1, abs=2e-3)  # a constant stays
    assert same(
        {n: t for n, t in tensors.items() if "kernel" not in n}, {n: checkpoint.averages[n] for n in raw}
    )


def test_strides_and_offsets_are_followed(tmp_path: Path) -> None:
    base = torch.arange(24.0).view(4, 6)
    views = {"t": base.T, "part": base[1:3, ::2], "whole": base, "none": base[:0], "one": base[2, 3]}
    torch.save({**views, "half": base.bfloat16(), "int": base.short()}, tmp_path / "t.pt")
    with TorchFile(tmp_path / "t.pt") as file:
        assert isinstance(file.content, dict)
        for name, tensor in {**views, "half": base.bfloat16(), "int": base.short()}.items():
            assert torch.equal(file.read({name: file.content[name]})[name], tensor), name


@pytest.mark.parametrize("layout", LAYOUTS)
def test_published_facts_stand_in_the_card(layout: str, saved: Callable, tmp_path: Path) -> None:
    path, _ = saved(layout)
    facts = dataclasses.replace(FACTS[layout], sigma_data=None)
    card = import_model(path, layout, tmp_path / "m", name="mine", facts=facts).card
    expected = {
        "cqtdiff": ("CqtDiff", "EDM", 22050, 0.057),
        "cqtdiff-plus": ("CqtDiffPlus", "EDM", 22050, 0.063),
        "sashimi": ("Sashimi", "DDPM", 16000, 0.1),
    }[layout]
    assert (card.architecture, card.preconditioning, card.rate, card.sigma_data) == expected
    assert card.arguments["length"] == FACTS[layout].length
    assert not card.conditioned


@pytest.mark.parametrize(
    ("widths", "dilations", "bins", "facts"),
    [
        ((64, 96, 96, 128, 128, 256, 256), (2, 3, 4, 5, 6, 7, 7), 64, (22050, 184184, 0.063)),
        ((64, 64, 96, 96, 128, 128, 256, 256), (2, 3, 4, 5, 6, 7, 8, 8), 64, (44100, 184184, 0.063)),
        ((32, 32, 64, 64, 128, 128, 256, 256), (1, 3, 4, 5, 5, 6, 6, 7), 32, (44100, 262144, 1.0)),
    ],
)
def test_published_sizes_of_cqtdiff_plus_are_known(
    widths: tuple[int, ...], dilations: tuple[int, ...], bins: int, facts: tuple[float, ...]
) -> None:
    shapes: dict[str, tuple[int, ...]] = {"embedding.MLP.2.weight": (256, 256)}
    for i, (width, count) in enumerate(zip(widths, dilations, strict=True)):
        shapes[f"downs.{i}.1.weight"] = (width, 2, 5, 3)
        shapes |= {f"downs.{i}.2.H.{k}.weight": (width, width, 5, 3) for k in range(count)}
    sizes = LAYOUTS["cqtdiff-plus"].sizes(shapes, Facts())
    known = sizes.facts
    assert (known.rate, known.length, known.sigma_data, known.bins) == (*facts, bins)
    assert sizes.architecture.octaves == len(widths)  # type: ignore[union-attr]
    assert sizes.architecture.dilations == dilations  # type: ignore[union-attr]


def test_the_published_size_of_cqtdiff_is_the_default() -> None:
    shapes = {
        f"downs.{i}.0.first_conv.1.weight": (w, 1, 1, 1) for i, w in enumerate((32, 64, 64, 128, 128, 128))
    }
    sizes = LAYOUTS["cqtdiff"].sizes(shapes | {"freq_encoding.embeddings": (1, 64, 450)}, Facts())
    assert sizes.architecture == type(sizes.architecture)()  # type: ignore[call-arg]
    assert sizes.facts == Facts(22050, 65536, 64, 0.057)


def test_the_network_is_told_ln_sigma_over_4(saved: Callable, tmp_path: Path) -> None:
    path, _ = saved("cqtdiff")
    prior = load(import_model(path, "cqtdiff", tmp_path / "m", name="mine", facts=FACTS["cqtdiff"]).folder)
    assert isinstance(prior, PublishedPrior)
    x = 0.1 * torch.randn(2, 6000, generator=torch.Generator().manual_seed(0))
    sigma, sd = 0.3, 0.057
    v = sigma**2 + sd**2
    answer = prior.network(x / math.sqrt(v), torch.full((2, 1), math.log(sigma) / 4))
    expected = sd**2 / v * x + sigma * sd / math.sqrt(v) * answer
    torch.testing.assert_close(prior.denoiser(9000.0)(x, sigma, 0.0).clean, expected, rtol=1e-4, atol=1e-6)


class Noted(nn.Module):
    """Keeps what it was given and answers with ones."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1))
        self.given: list[Tensor] = []

    def forward(self, x: Tensor, told: Tensor) -> Tensor:
        self.given = [x, told]
        return torch.ones_like(x)


@pytest.mark.parametrize(("step", "told"), [(0, 0.0), (80, 80.0), (199, 199.0)])
def test_sashimi_is_told_the_step_and_gives_the_noise(
    step: int, told: float, saved: Callable, tmp_path: Path
) -> None:
    path, _ = saved("sashimi")
    card = import_model(path, "sashimi", tmp_path / "m", name="mine", facts=FACTS["sashimi"]).card
    network = Noted()
    kept = np.cumprod(1 - np.linspace(1e-4, 0.02, 200))[step]
    sigma = math.sqrt(1 / kept - 1)
    x = torch.randn(2, 16, generator=torch.Generator().manual_seed(0))
    clean = PublishedPrior(card, network, 16, "float32").denoiser()(x, sigma, 0.0).clean
    torch.testing.assert_close(clean, x - sigma)
    torch.testing.assert_close(network.given[0], math.sqrt(kept) * x)
    torch.testing.assert_close(network.given[1], torch.full((2, 1), told), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_imported_model_mends(layout: str, saved: Callable, tmp_path: Path) -> None:
    path, checkpoint = saved(layout)
    model, rate = tmp_path / "m", 22050
    options = checkpoint.options or ("--length", "1600")
    assert run(["models", "import", str(path), "--as", layout, "--out", str(model), *options]) == 0
    sine = 0.5 * np.sin(np.arange(9000) * 0.05)
    clipped = np.clip(sine, -0.3, 0.3)
    soundfile.write(tmp_path / "in.wav", clipped, rate, "FLOAT")
    command = ["declip", "in.wav", "out.wav", "--model", "m", "--steps", "2", "--precision", "float32"]
    command[1:3] = [str(tmp_path / name) for name in command[1:3]]
    command[4] = str(model)
    assert run(command) == 0
    mended, kept = soundfile.read(tmp_path / "out.wav")[0], np.abs(clipped) < 0.2999
    np.testing.assert_array_equal(mended[kept], clipped.astype(np.float32)[kept])
    assert np.isfinite(mended).all()
    assert (np.abs(mended[~kept]) >= 0.2999).all()


@pytest.mark.parametrize("layout", LAYOUTS)
def test_an_imported_model_walks_as_published_at_another_rate(
    layout: str, saved: Callable, tmp_path: Path
) -> None:
    path, _ = saved(layout)
    made = import_model(path, layout, tmp_path / "m", name="mine", facts=FACTS[layout])
    rate, sine = 44_100, 0.5 * np.sin(np.arange(9000) * 0.05)
    clipped = np.clip(sine, -0.3, 0.3).astype(np.float32)
    soundfile.write(tmp_path / "in.wav", clipped, rate, "FLOAT")
    for preset in ("cqtdiff", "poster-pigdm-dc"):
        output = tmp_path / f"{preset}.wav"
        command = ["declip", str(tmp_path / "in.wav"), str(output), "--model", str(made.folder)]
        assert run([*command, "--preset", preset, "--steps", "3", "--precision", "float32"]) == 0
        mended, kept = soundfile.read(output)[0], np.abs(clipped) < 0.2999
        np.testing.assert_array_equal(mended[kept], clipped[kept])
        assert np.isfinite(mended).all()
    window = windows_for(load(made.folder), rate).length
    assert window == round(FACTS[layout].length * rate / made.card.rate)


def test_the_command_says_which_weights_it_took(
    saved: Callable,
    read_json: Callable,
    loose: Callable,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path, checkpoint = saved("cqtdiff")
    monkeypatch.chdir(tmp_path)
    command = ["models", "import", str(path), "--as", "cqtdiff", *checkpoint.options]
    assert run(command) == 0
    assert "averages (ema)" in (said := capsys.readouterr().err)
    assert "--weights raw" in said
    assert (tmp_path / "weights" / "card.json").exists()
    assert run(command) == 2
    assert "exists" in capsys.readouterr().err
    assert run([*command, "--force", "--weights", "raw", "--json", "--name", "weights"]) == 0
    told = read_json(capsys.readouterr().out)
    assert (told["weights"], told["offered"]) == ("raw", ["ema", "raw"])
    assert loose(told) == {"card.arguments", "card.training_data"}


def test_a_replaced_folder_survives_a_full_disk(
    saved: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, _ = saved("cqtdiff")
    arguments = {"name": "mine", "facts": FACTS["cqtdiff"]}
    first = import_model(path, "cqtdiff", tmp_path / "m", **arguments).card

    def full(card: Card, folder: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("audiomend.models.store.write_card", full)
    with pytest.raises(ModelError, match="cannot be written"):
        import_model(path, "cqtdiff", tmp_path / "m", weights="raw", force=True, **arguments)
    assert read_card(tmp_path / "m") == first
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["m", "weights.pt"]


@pytest.mark.parametrize("facts", [{"rate": 0}, {"length": -1}, {"bins": 2**25}, {"sigma_data": 0.0}])
def test_facts_have_bounds(facts: dict[str, float]) -> None:
    with pytest.raises(UsageError, match=next(iter(facts))):
        Facts(**facts)  # type: ignore[arg-type]


def test_unknown_words_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="layout other"):
        import_model(tmp_path / "a", "other", tmp_path / "m", name="m")
    with pytest.raises(UsageError, match="weights best"):
        import_model(tmp_path / "a", "cqtdiff", tmp_path / "m", name="m", weights="best")
