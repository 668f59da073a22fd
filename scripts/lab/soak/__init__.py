"""Runs that are killed at random instants, and what becomes of them."""
