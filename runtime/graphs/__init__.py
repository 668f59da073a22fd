"""Graphs that are ready to run, and the settings of ONNX Runtime that they run with."""
