"""Scores: members, ensembles, detectors.

``coco_metric`` and ``evaluators`` need MMDetection.
"""
