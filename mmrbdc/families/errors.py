"""The error of this room."""


class FamilyError(ValueError):
    """A config, a file or a set of parents that a family cannot handle; says which and why."""
