"""Which passes make which graph: ``probe`` (both sides), ``eval`` (one side), ``prefix`` and ``update``."""
