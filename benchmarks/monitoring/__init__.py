"""How often monitoring cries wolf, and what it finds."""
