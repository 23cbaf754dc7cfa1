import json
from dataclasses import asdict, replace

import pytest

from audiomend.errors import UsageError
from audiomend.networks.patch_unet import Architecture
from audiomend.recipes import RECIPES, find_recipe
from audiomend.recipes.recipe import Recipe
from audiomend.training.settings import differences, from_plain, with_settings


def test_settings_are_typed_by_the_fields():
    recipe = with_settings(
        find_recipe("prior"),
        [
            "batch=8",
            "skip_above=1e3",
            "name=mine",
            "average=short",
            "architecture.widths=32,64,128",
            "architecture.length=262144",
            "materials.piano=0.75",
        ],
    )
    prior = find_recipe("prior")
    assert recipe == replace(
        prior,
        batch=8,
        skip_above=1000.0,
        name="mine",
        average="short",
        architecture=replace(prior.architecture, widths=(32, 64, 128), length=262144),
        materials=prior.materials | {"piano": 0.75},
    )
    assert isinstance(recipe.batch, int)
    assert isinstance(recipe.architecture.widths, tuple)


def test_no_settings_change_nothing():
    assert with_settings(find_recipe("tiny"), []) == find_recipe("tiny")


def test_the_last_setting_of_a_key_holds():
    assert with_settings(find_recipe("tiny"), ["batch=3", "batch=5"]).batch == 5


def test_settings_that_fit_only_together_are_taken_together():
    recipe = with_settings(find_recipe("tiny"), ["architecture.window=512", "architecture.long_window=2048"])
    assert (recipe.architecture.window, recipe.architecture.long_window) == (512, 2048)


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("batch", "The setting batch is not of the form key=value."),
        ("bach=4", "The recipe has no setting bach. Did you mean batch?"),
        (
            "architecture.width=4",
            "The recipe has no setting architecture.width. Did you mean architecture.widths?",
        ),
        ("materials.pianos=1", "The recipe has no setting materials.pianos. Did you mean materials.piano?"),
        ("architecture=4", "The recipe has no setting architecture. Did you mean architecture.hop?"),
        ("zzz=4", "The recipe has no setting zzz. There are name, architecture.length, "),
        ("batch=four", "The setting batch=four is not a whole number."),
        ("batch=4.5", "The setting batch=4.5 is not a whole number."),
        ("skip_above=high", "The setting skip_above=high is not a number."),
        ("skip_above=nan", "The setting skip_above=nan is not a number."),
        ("skip_above=inf", "The setting skip_above=inf is not a number."),
        (
            "architecture.widths=8;16",
            "The setting architecture.widths=8;16 is not whole numbers with commas between.",
        ),
        ("average=longest", "The setting average=longest is not one of short, long, raw."),
    ],
)
def test_a_bad_setting_gets_a_sentence(setting: str, message: str):
    with pytest.raises(UsageError) as caught:
        with_settings(find_recipe("tiny"), [setting])
    assert str(caught.value).startswith(message)


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_survives_json(name: str):
    recipe = find_recipe(name)
    assert from_plain(Recipe, json.loads(json.dumps(asdict(recipe)))) == recipe


def test_missing_entries_take_their_defaults():
    plain = {"name": "x", "architecture": {"widths": [8, 8]}}
    assert from_plain(Recipe, plain) == Recipe("x", Architecture(widths=(8, 8)))


def test_an_unknown_entry_is_refused():
    with pytest.raises(
        UsageError, match="Architecture has no entry heads; this version knows length, widths"
    ):
        from_plain(Recipe, {"name": "x", "architecture": {"heads": 3}})


def test_differences_name_the_fields():
    ours = Architecture(length=131072, widths=(8, 8))
    assert differences(ours, Architecture(length=65536)) == (
        "length 65536 instead of 131072, widths (32, 64, 96, 160, 256) instead of (8, 8)"
    )
    assert differences(ours, ours) == ""
