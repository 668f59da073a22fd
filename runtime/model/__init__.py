"""A bundle at work: rows become batches, batches become losses, and a journal becomes a state."""
