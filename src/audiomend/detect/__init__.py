"""Diagnosis, one damage a file: what it is, where, how much of it, and how sure.

Each detector is fed blocks of (channels, n) samples in order and then asked for its result, so a file of any
length is read once; a function on top does the same for an array. The result does not depend on the blocks.
"""
