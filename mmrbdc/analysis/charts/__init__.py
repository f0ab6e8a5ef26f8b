"""Charts as SVG, one per file."""
