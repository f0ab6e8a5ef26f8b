"""The error of everything a user can get wrong about data."""


class DataError(ValueError):
    """Data that is missing, empty, or does not fit the model; the message says what to do."""


class NoDataError(DataError):
    """A folder or file that is there and holds no data."""
