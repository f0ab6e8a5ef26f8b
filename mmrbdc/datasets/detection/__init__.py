"""The data sets of a detector's config: which COCO files it names, and what it does with them.

``coco`` knows files and no configs; this knows both. ``dataset`` needs MMDetection.
"""
