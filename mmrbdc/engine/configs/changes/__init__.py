"""What a stage changes in its config, or in that of its run."""
