"""Which passes make which graph: ``probe`` (both sides), ``eval`` (one side), ``context`` and ``update``."""
