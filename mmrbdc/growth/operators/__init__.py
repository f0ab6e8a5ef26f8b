"""The growth operators, one per file."""
