"""COCO's format."""
