"""The command lines, one per file: parsers that import nothing heavy, and what they call.

``tools/*.py`` and the command ``mmrbdc`` run the same functions.
"""
