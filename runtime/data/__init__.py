"""Data: files to rows, rows to batches, and the order in which a run sees them."""
