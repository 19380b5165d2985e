"""Benchmarks: figures that anyone can print again, side by side with a baseline of the same run."""
