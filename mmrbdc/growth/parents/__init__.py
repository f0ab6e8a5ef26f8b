"""What makes a parent fit before it is grown: depth, resolution, residual streams."""
