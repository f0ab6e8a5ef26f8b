"""The sets that the program makes for itself: digits, and scenes of digits."""
