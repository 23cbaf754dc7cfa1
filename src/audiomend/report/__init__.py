"""Pictures and pages that show what was done to a sound."""
