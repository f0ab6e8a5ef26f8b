"""The error of this room."""


class GrowthError(ValueError):
    """Parents, layout or operator do not fit; the message names the tensor and what to do."""
