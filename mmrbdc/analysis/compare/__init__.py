"""Rows compared: groups over seeds, differences, fairness, images."""
