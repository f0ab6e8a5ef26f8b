"""From a stage to the next: parents grown, children scored."""
