"""Tasks: how a row becomes text, and which words stand for its labels."""
