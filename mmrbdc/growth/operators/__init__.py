"""The growth operators, one a file."""
