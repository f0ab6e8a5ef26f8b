"""The process that trains: its signals, its lock, its start among others and its end."""
