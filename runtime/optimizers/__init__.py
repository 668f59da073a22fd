"""Optimizers: from a projected gradient to the coefficient that the step's noise is applied with."""
