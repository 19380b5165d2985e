"""What the workflows call beside `kedro run` and `churn`: each command runs on any machine, GitHub or not."""
