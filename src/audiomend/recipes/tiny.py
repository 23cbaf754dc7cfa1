"""A model that trains in seconds."""

from audiomend.networks.patch_unet import Architecture
from audiomend.recipes.recipe import Recipe


def tiny() -> Recipe:
    """A network small enough to train in a test: learns little, shows that everything works."""
    small = Architecture(length=8192, widths=(8, 16), window=256, hop=64, long_window=1024)
    return Recipe(name="tiny", architecture=small, batch=2, steps=40, warmup_steps=4, decay_steps=10)
