"""Estimators: from a state, a seed and a batch to a projected gradient."""
