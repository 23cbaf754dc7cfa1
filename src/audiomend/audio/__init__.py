"""Sound files in and out: NumPy arrays, block by block, in the file's own number format."""
