"""For pip versions that install a folder through setup.py; everything is in pyproject.toml."""

from setuptools import setup

setup()
