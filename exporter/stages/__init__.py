"""Cuts a finished graph into stages (`runtime/stages/plan.py` says what a stage is)."""
