"""The demo of a completion task: how to define words as a cynic does."""
