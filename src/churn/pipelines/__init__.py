"""One folder per Kedro pipeline; none imports another."""
