"""MMEngine's hooks of ours, one per file."""
