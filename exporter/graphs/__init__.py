"""Which passes make which graph: ``probe`` (both sides), ``eval`` (one side) and ``update`` (no weights)."""
