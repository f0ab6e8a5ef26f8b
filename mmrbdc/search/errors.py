"""What the search refuses."""


class SearchError(ValueError):
    """A grid, candidates or measurements that do not fit: says what, both numbers, what to do."""
