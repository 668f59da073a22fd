"""The journal: the append-only list of steps that *is* the tuned model. See docs/reference/journal.md for the bytes."""
