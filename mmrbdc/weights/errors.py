"""The error of everything that can be wrong with a file of weights."""


class WeightsError(ValueError):
    """A file of weights that cannot be read, or does not fit; says which, why and the next step."""
