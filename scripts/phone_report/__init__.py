"""One archive of what a phone did, for an issue: without rows, texts, states or identifiers."""
