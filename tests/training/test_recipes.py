from dataclasses import replace
from typing import Any

import pytest

from audiomend.errors import UsageError
from audiomend.networks.patch_unet import Architecture, PatchUnet
from audiomend.recipes import RECIPES, find_recipe


def test_an_unknown_recipe_gets_a_suggestion():
    with pytest.raises(
        UsageError, match=r"There is no recipe priro; there are prior, tiny. Did you mean prior\?"
    ):
        find_recipe("priro")


def test_a_recipe_without_a_likeness_gets_the_list():
    with pytest.raises(UsageError, match=r"There is no recipe xyz; there are prior, tiny.$"):
        find_recipe("xyz")


@pytest.mark.parametrize("name", RECIPES)
def test_every_recipe_bears_its_name(name: str):
    assert find_recipe(name).name == name


def test_the_shipped_prior_fits_16_mib_in_float16():
    network = PatchUnet(find_recipe("prior").architecture)
    assert 2 * sum(p.numel() for p in network.parameters()) < 16 * 2**20


def test_the_prior_is_trained_as_its_page_says():
    recipe = find_recipe("prior")
    assert (recipe.muon_rate, recipe.adam_rate, recipe.clip_norm, recipe.skip_above) == (2e-3, 1e-3, 1.0, 4.0)
    assert (recipe.level_mean, recipe.level_spread) == (-1.0, 1.8)
    assert (recipe.lowest_level, recipe.highest_level, recipe.sigma_data) == (0.0015, 30.0, 0.1)
    assert (recipe.batch, recipe.warmup_steps, recipe.bandwidth_dropped) == (4, 200, 0.3)
    assert (recipe.average, recipe.steps, recipe.decay_steps) == ("long", 250_000, 100_000)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rate": 48000}, "The recipe's rate is 48000; only 44100 Hz is allowed, the pool's."),
        ({"batch": 0}, "The recipe's batch is 0; it must be above 0."),
        ({"steps": -5}, "The recipe's steps is -5; it must be above 0."),
        ({"warmup_steps": 0}, "The recipe's warmup_steps is 0; it must be above 0."),
        ({"sigma_data": 0.0}, "The recipe's sigma_data is 0.0; it must be above 0."),
        ({"muon_rate": float("inf")}, "The recipe's muon_rate is inf; it must be above 0."),
        ({"decay_steps": -1}, "The recipe's decay_steps is -1; it must be 0 or more."),
        ({"level_spread": -0.1}, "The recipe's level_spread is -0.1; it must be 0 or more."),
        ({"seed": -1}, "The recipe's seed is -1; it must be 0 or more."),
        ({"seed": 2**32}, "The recipe's seed is 4294967296; it must be below 4294967296."),
        ({"bandwidth_dropped": 1.1}, "The recipe's bandwidth_dropped is 1.1; it must lie between 0 and 1."),
        ({"lowest_level": 31.0}, "The recipe's lowest_level 31.0 is above its highest_level 30.0."),
    ],
)
def test_a_value_outside_its_range_is_refused(changes: dict[str, Any], message: str):
    with pytest.raises(UsageError) as caught:
        replace(find_recipe("prior"), **changes)
    assert str(caught.value) == message


@pytest.mark.parametrize(
    ("sizes", "message"),
    [
        ({"widths": ()}, "has a size below 1"),
        ({"widths": (32, 0)}, "has a size below 1"),
        ({"hop": 0}, "has a size below 1"),
        ({"window": 2016}, "window is 2016; with 5 widths it must be a multiple of 512"),
        ({"hop": 2048}, "a window must be 2, 4, 8 ... hops"),
        ({"window": 1536, "long_window": 6144}, "a window must be 2, 4, 8 ... hops"),
        ({"long_window": 4096}, "long_window is 4096; it must be four windows, 8192"),
        ({"length": 131073}, "length is 131073; it must be a multiple of 16384"),
        ({"length": 8192}, "length is 8192; it must be a multiple of 16384"),
    ],
)
def test_sizes_that_do_not_fit_are_refused(sizes: dict[str, Any], message: str):
    prior = find_recipe("prior")
    with pytest.raises(UsageError) as caught:
        replace(prior, architecture=replace(prior.architecture, **sizes))
    assert message in str(caught.value)


def test_the_ends_of_the_ranges_are_taken():
    edge = replace(find_recipe("prior"), bandwidth_dropped=1.0, lowest_level=2.0, highest_level=2.0)
    assert edge.lowest_level == edge.highest_level
    dense = replace(edge.architecture, hop=1, widths=(8, 8))
    assert replace(edge, architecture=dense).architecture.hop == 1


def test_sizes_that_are_taken_make_a_network():
    small = Architecture(length=16384, widths=(8, 8, 8, 8, 8))
    assert replace(find_recipe("prior"), architecture=small).architecture is small
