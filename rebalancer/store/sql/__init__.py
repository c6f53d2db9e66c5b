"""The owner's database, on SQLite or PostgreSQL; loaded only when a commit is owed."""
