"""How good a model is, whether it is better than another, and what it is worth: metrics, gate, profit."""
