"""What data sets hold and what is wrong with them, and how it is shown."""
