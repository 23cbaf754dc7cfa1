"""How the road is walked: each solver is a list of stages, one network evaluation each."""
