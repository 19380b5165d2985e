"""How often the promotion gate errs: `python -m benchmarks.gate`."""
