"""Recipes: typed functions that say how a model is trained. A user picks one by name."""

import difflib
from collections.abc import Callable

from audiomend.errors import UsageError
from audiomend.recipes.prior import prior
from audiomend.recipes.recipe import Recipe
from audiomend.recipes.tiny import tiny

RECIPES: dict[str, Callable[[], Recipe]] = {"prior": prior, "tiny": tiny}


def find_recipe(name: str) -> Recipe:
    """The recipe of that name.

    Raises:
        UsageError: no such recipe; the nearest name is offered.
    """
    if name in RECIPES:
        return RECIPES[name]()
    close = difflib.get_close_matches(name, RECIPES, n=1, cutoff=0.5)
    hint = f" Did you mean {close[0]}?" if close else ""
    raise UsageError(f"There is no recipe {name}; there are {', '.join(RECIPES)}.{hint}")
