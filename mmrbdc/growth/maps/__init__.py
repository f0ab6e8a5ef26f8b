"""What several operators share: widening, inner widths, mixtures of templates."""
