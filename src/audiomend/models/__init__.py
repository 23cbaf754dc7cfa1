"""Models: a card that says everything, weights that are checked before they are read."""
