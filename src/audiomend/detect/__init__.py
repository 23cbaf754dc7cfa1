"""Diagnosis, one damage a file: what it is, where, how much of it, and how sure.

Each detector takes blocks of (channels, n) samples in order and is then asked for its result, so a file of
any length is read once; a function on top does the same for an array. The blocks do not change the result.
"""
