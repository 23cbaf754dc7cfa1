from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from audiomend.data.pool import Item
from audiomend.models.card import Card, read_card
from audiomend.models.prior import TrainedPrior, load
from audiomend.models.store import checked_weights
from audiomend.recipes.recipe import Recipe
from audiomend.training.export import exported_prior, list_training_data, write_model
from audiomend.training.loop import train
from audiomend.training.objective import Batch
from audiomend.training.segments import Segment
from audiomend.training.state import Origin, Run, start
from audiomend.training.validation import denoising_gains

FREE = {"material": "piano", "what": "a maker", "licence": "CC BY 3.0", "minutes": 3.5}
SHARED = {"material": "music", "what": "another", "licence": "CC BY-SA 2.5", "minutes": 1.0}


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Recipe, Callable[[int], Batch]], Run]:
    runs: dict[str, Run] = {}

    def make(recipe: Recipe, batches: Callable[[int], Batch]) -> Run:
        if "run" not in runs:
            run = start(recipe, torch.float32)
            train(run, batches, tmp_path_factory.mktemp("run"))
            runs["run"] = run
        return runs["run"]

    return make


@pytest.fixture
def run(trained: Callable[..., Run], recipe: Recipe, sines: Callable[[int], Batch]) -> Run:
    run = trained(recipe, sines)
    run.recipe = recipe  # some tests change it
    return run


def rounded(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: t.half().float() for name, t in tensors.items()}


@pytest.mark.parametrize("average", ["short", "long", "raw"])
def test_the_weights_are_those_that_the_recipe_names(run: Run, recipe: Recipe, average: str):
    run.recipe = replace(recipe, average=average)
    weights = dict(exported_prior(run, [], {}).network.named_parameters())
    raw = {name: p.detach() for name, p in run.network.named_parameters()}
    expected = rounded({"short": run.averages.short, "long": run.averages.long, "raw": raw}[average])
    assert all(torch.equal(weights[name], expected[name]) for name in expected)
    assert not torch.equal(raw["stem_lower.weight"], run.averages.long["stem_lower.weight"])


def test_exporting_leaves_the_run_alone(run: Run):
    before = {name: t.clone() for name, t in run.network.state_dict().items()}
    exported_prior(run, [], {})
    assert all(torch.equal(t, before[name]) for name, t in run.network.state_dict().items())
    assert all(p.requires_grad for p in run.network.parameters())


def test_a_model_that_was_written_is_the_one_that_loads(run: Run, tmp_path: Path):
    prior = exported_prior(run, [FREE], {"gain": 1.5})
    write_model(prior, tmp_path / "model")
    loaded = load(tmp_path / "model")
    assert isinstance(loaded, TrainedPrior)
    assert loaded.card == prior.card
    ours, theirs = prior.network.state_dict(), loaded.network.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    x = torch.randn(1, 1024, generator=torch.Generator().manual_seed(0))
    assert torch.equal(prior.denoiser()(x, 0.1, 0.0).clean, loaded.denoiser()(x, 0.1, 0.0).clean)


def test_the_weights_are_stored_in_16_bits(run: Run, tmp_path: Path):
    write_model(exported_prior(run, [], {}), tmp_path / "model")
    numbers = sum(p.numel() for p in run.network.parameters())
    size = checked_weights(tmp_path / "model").stat().st_size
    assert 2 * numbers < size < 2 * numbers + 10_000


def test_a_model_is_replaced_whole(run: Run, tmp_path: Path):
    write_model(exported_prior(run, [], {}), tmp_path / "model")
    (tmp_path / "model" / "stray").touch()
    write_model(exported_prior(run, [], {"gain": 2.0}), tmp_path / "model")
    assert [p.name for p in tmp_path.iterdir()] == ["model"]
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["card.json", "weights.safetensors"]
    assert read_card(tmp_path / "model").figures == {"gain": 2.0}


def test_rounding_to_float16_costs_less_than_a_hundredth_of_a_decibel(run: Run):
    t = np.arange(1024)
    tones = [np.sin(f * t) + np.sin(2.3 * f * t) for f in (0.1, 0.2, 0.3)]
    segments = [Segment("music", (0.1 * x).astype(np.float32)) for x in tones]
    prior = exported_prior(run, [], {})
    exact = TrainedPrior(prior.card, start(run.recipe, torch.float32).network)
    exact.network.load_state_dict(run.network.state_dict() | run.averages.long)
    for told in (False, True):
        ours, theirs = (denoising_gains(p, segments, told) for p in (prior, exact))
        for name, row in ours.items():
            np.testing.assert_allclose(row, theirs[name], atol=0.01)


def test_the_card_says_what_went_in(run: Run, recipe: Recipe):
    run.recipe = replace(recipe, name="mine")
    card = exported_prior(run, [FREE], {"gain": 1.5}).card
    assert (card.name, card.architecture, card.process, card.preconditioning) == (
        "mine",
        "PatchUnet",
        "EDM",
        "EDM",
    )
    sizes = {"length": 1024, "widths": [8, 8], "window": 64, "hop": 16, "long_window": 256, "depth": 1}
    assert card.arguments == sizes
    assert (card.rate, card.sigma_data, card.conditioned) == (44100, 0.1, True)
    assert card.segments == 60
    assert card.training_data == [FREE]
    assert card.figures == {"gain": 1.5}
    assert "piece chopin__chpn-p7: romantic, chords, a whole piece of 37 s" in card.withheld
    assert any(name.startswith("recording k_855f") for name in card.withheld)
    assert any(name.startswith("speaker p228") for name in card.withheld)
    assert card.limits


def test_share_alike_data_decide_the_licence_of_the_weights(run: Run):
    assert exported_prior(run, [FREE, SHARED], {}).card.weights_licence.startswith("CC BY-SA 4.0: ")
    assert exported_prior(run, [FREE], {}).card.weights_licence.startswith("CC BY 4.0: ")


def test_what_the_first_model_cost_and_was_made_of_adds_up(run: Run, recipe: Recipe):
    first = exported_prior(run, [FREE | {"minutes": 9.0}, SHARED], {}).card
    more = {"segments": 1000, "cpu_hours": 2.5, "withheld": ["speaker x: y"]}
    first = Card(**{**first.__dict__, **more})
    second = start(recipe, torch.float32, Origin("tiny", init=first))
    second.segments, second.cpu_seconds = 8, 3600.0
    card = exported_prior(second, [FREE], {}).card
    assert (card.segments, card.cpu_hours) == (1008, 3.5)
    assert card.training_data == [FREE | {"minutes": 9.0}, SHARED]
    assert card.withheld[-1] == "speaker x: y"
    assert card.weights_licence.startswith("CC BY-SA 4.0")


def item(name: str, material: str, source: str, licence: str, seconds: float) -> Item:
    return Item(name, material, source, licence, 1e4, "train", 0, round(44100 * seconds), 1.0, 1.0)


def test_training_data_are_listed_by_source():
    items = [
        item("a", "speech", "a corpus", "CC0", 90),
        item("b", "speech", "a corpus", "CC0", 30),
        item("c", "piano", "Haydn, Sonata; midi site; grand piano", "CC BY 3.0", 60),
        item("d", "piano", "Grieg, Fairy Dance; midi site; grand piano", "CC BY 3.0", 60),
        item("e", "instruments", "Grieg, Fairy Dance; midi site; FluidR3 programs 40, 12", "MIT", 12),
        item("f", "instruments", "notes made at random; FluidR3 programs 3", "MIT", 7),
    ]
    assert list_training_data(items) == [
        {"material": "instruments", "what": "FluidR3", "licence": "MIT", "minutes": 0.1},
        {"material": "instruments", "what": "midi site; FluidR3", "licence": "MIT", "minutes": 0.2},
        {"material": "piano", "what": "midi site; grand piano", "licence": "CC BY 3.0", "minutes": 2.0},
        {"material": "speech", "what": "a corpus", "licence": "CC0", "minutes": 2.0},
    ]
