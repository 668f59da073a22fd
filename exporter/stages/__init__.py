"""Cuts a finished graph into stages (`runtime/bundle/stage_plan.py` says what a stage is)."""
