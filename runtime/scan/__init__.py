"""Scans of image classifiers: a state a picture, losses alone, the loop and the journal of tuning."""
