"""Operators that move whole blocks, for depth: their parents have other blocks than the child."""
