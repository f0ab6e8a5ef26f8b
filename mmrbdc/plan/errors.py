"""What the plan refuses."""


class PlanError(ValueError):
    """A protocol that cannot be planned: says what, where, and what to write instead."""
