"""Picture files: what their headers say, and what becomes of them when they are loaded."""
