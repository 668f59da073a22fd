"""Representations learned with gradients on a computer, in the form that heads on a phone read. With torch."""
