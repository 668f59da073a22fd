"""Graphs around any ONNX classifier of images: pictures go in changed, losses come out. Without torch."""
