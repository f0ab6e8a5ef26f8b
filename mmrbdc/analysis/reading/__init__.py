"""Finished runs read: detectors, recipes, predictions, joined to rows."""
