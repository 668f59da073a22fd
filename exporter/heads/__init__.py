"""Graphs over rows of features, by onnx-ir alone: contrastive embeddings; heads of robust and non-robust features."""
