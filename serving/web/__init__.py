"""The HTTP side: routes, schemas, keys, problems, documentation."""
