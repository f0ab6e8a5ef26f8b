"""One account of the files of a work dir, for who writes them and who reads them.

Needs neither a model nor an mm package.
"""
