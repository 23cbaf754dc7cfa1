"""Restorers: damaged sound in, mended sound out."""
