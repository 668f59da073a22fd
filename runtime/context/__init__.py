"""Keys and values of the text of a row, computed once and kept: the part of a row that tuning never changes."""
