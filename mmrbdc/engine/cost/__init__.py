"""What models cost before they are trained: parameters and FLOPs on ``meta``."""
