"""The error of everything that can be wrong with the runs to be compared."""


class AnalysisError(ValueError):
    """A run that cannot be read or compared; names the file, what is wrong and what makes it."""
