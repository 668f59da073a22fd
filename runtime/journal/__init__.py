"""The journal: the append-only list of steps that *is* the tuned model. See docs/bundle.md for the bytes."""
