"""`./scripts/collect_phone_report` runs this folder; see `collect.py`."""

import sys
from pathlib import Path

# Python puts the folder that it is told to run on the path; its modules bear the names seen from the one above.
sys.path[0] = str(Path(__file__).resolve().parents[1])

from phone_report.collect import main  # noqa: E402

main()
