"""Training of priors: one objective, one loop, checkpoints that survive anything."""
