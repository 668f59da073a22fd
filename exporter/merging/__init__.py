"""A checkpoint with what was tuned in its weights."""
