"""Runs of one study compared: variants, savings at equal accuracy, ranking."""
