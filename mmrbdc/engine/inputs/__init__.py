"""What a run is fed: images and their size, batches, and the record of both."""
