"""Numbers in, numbers out: no Kedro, MLflow, Feast, file or network below this package."""
