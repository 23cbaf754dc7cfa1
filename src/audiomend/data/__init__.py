"""Training audio: renderers, the pool of clean crops, their augmentation and their damage."""
