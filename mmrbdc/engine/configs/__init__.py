"""Configs read, and the ordinary ones that are derived from a staged one."""
