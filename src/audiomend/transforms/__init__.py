"""Invertible representations of a waveform."""
