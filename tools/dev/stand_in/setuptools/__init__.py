"""Tells pip a source's name and version without running the source's ``setup.py``.

`make env` puts this in setuptools' place while pip downloads mmcv, and only then.
"""
