"""Real services for the tests: PostgreSQL, Redis, an S3 object store and an MLflow server.

Each is looked for in this order: an address in the environment (TEST_POSTGRES_URL, TEST_REDIS_URL, TEST_S3_ENDPOINT), a program
on the PATH, a program in a wheel; where there is none the tests fail with advice. They start once in a test run, when the
first test asks, and are shared by its workers; whoever uses one takes a database or bucket of their own in it.
"""
