"""The owner's strategies: found by path, run in a child interpreter, answers checked."""
