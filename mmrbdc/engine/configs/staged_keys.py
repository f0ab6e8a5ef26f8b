"""What the top level of a staged config has beside that of an ordinary run."""

from collections.abc import Container

SET_BY_USERS = ("stages", "protocol", "lockstep")
"""What a person writes, in a file or behind ``--cfg-options``."""

STAGED_KEYS = ("runner_type", *SET_BY_USERS, "cfg_options")
"""All of them, of which no stage's own config has any."""


def is_staged(cfg: Container[str]) -> bool:
    """Whether a config describes a protocol rather than one run."""
    return "stages" in cfg or "protocol" in cfg
