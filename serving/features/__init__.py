"""The features of a customer, from Feast's online store: Redis and SQLite by their own encodings, others through Feast."""
