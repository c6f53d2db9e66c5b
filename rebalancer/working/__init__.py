"""The steps of the hour that need the venue or the books: recover, cancel, refresh, work, close."""
