"""Between backbone and detection heads."""

from mmrbdc.models.necks.simple_feature_pyramid import SimpleFeaturePyramid

__all__ = ["SimpleFeaturePyramid"]
