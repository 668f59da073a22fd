"""Batches: what one call of a graph is fed, and how rows are put together for it."""
