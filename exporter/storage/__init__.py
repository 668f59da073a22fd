"""How and where an export is stored: encodings of matrices, the weights file, the folder it appears in."""
