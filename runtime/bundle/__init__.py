"""What export writes and everything else reads: manifest, layout of the state, and the checks before use."""
