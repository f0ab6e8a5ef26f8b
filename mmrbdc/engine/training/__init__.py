"""A run of MMEngine's own kind: its runner, what it begins from, what it goes on with."""
