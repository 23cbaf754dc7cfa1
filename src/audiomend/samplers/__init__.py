"""Walks: a whole signal at once, or blocks in and blocks out."""
