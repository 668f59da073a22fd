"""Heads over features at work: the rows of their bundle, and which of them a step is fed."""
