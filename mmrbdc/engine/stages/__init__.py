"""A protocol's stages as runs: set up, looped, their members apart."""
