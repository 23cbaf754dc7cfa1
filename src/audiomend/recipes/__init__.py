"""Recipes: typed functions that say how a model is trained. A user picks one by name."""

from collections.abc import Callable

from audiomend.recipes.prior import Recipe, prior, tiny

RECIPES: dict[str, Callable[[], Recipe]] = {"prior": prior, "tiny": tiny}
