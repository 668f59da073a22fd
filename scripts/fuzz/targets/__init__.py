"""What is fuzzed, one file per kind of input."""
