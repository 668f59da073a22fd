"""Batches: what one call of a graph is fed, how rows are put together for it, and which rows a step sees."""
