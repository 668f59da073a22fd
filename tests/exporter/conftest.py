"""Puts the exporter's shared test helpers on the path: pytest's importlib mode does not."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "exporter_support"))
