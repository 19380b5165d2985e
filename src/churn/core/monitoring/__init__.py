"""What a window of predictions shows: contract, drift, estimated and measured performance, and the verdict."""
