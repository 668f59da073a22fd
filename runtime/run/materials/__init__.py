"""What a run learns from and is judged by: rows of text, or the features that a bundle brings."""
