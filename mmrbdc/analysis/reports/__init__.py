"""Comparisons and studies as tables, pages and files."""
