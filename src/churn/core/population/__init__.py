"""The sample population, whose churn probabilities are known, and the changes that it can go through."""
