"""Searching stages: the moving average that judges and grows, the judging, and what was found."""
