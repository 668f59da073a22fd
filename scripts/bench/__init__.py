"""Measurements, one a file; `python scripts/bench` lists and runs them.

Each file declares, as literals that are read without importing it, ``WHAT`` (what it measures, in a line) and ``BAR``
(what must hold: figure -> bar). It prints a table on standard error and, as the last line of standard output, one JSON
object (`lab/report.py`). Nothing imports a bench but its own tests.
"""
