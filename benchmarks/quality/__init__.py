"""How good the trained models are, beside other libraries on the same folds: `python -m benchmarks.quality --table telco`."""
