"""What the pipelines cost, as ratios to their bare parts."""
