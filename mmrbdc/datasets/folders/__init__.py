"""Folders of classes and lists of images, as MMPretrain reads them."""
