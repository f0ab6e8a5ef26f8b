"""MMEngine's hooks of ours, one a file."""
