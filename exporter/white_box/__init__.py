"""Attacks with gradients on a classifier that comes as ONNX: host only, by libraries."""
