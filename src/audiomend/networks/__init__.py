"""Plain torch modules: a network knows tensors, nothing of processes or of audio files."""
