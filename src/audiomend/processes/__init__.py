"""Which road leads from noise, or from the damaged sound, to clean sound."""
