"""The champion: found by its alias, fetched and checked in a process of its own, kept, scored with."""
