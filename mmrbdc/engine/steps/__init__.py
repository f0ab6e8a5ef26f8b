"""The runner of a protocol, and what a protocol must be before it runs."""
