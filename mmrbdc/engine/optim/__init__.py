"""Optimizer wrappers, and constructors of parameter groups."""
