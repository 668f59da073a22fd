"""python scripts/make_reference: writes docs/reference/cli.md and docs/reference/python.md from the code."""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from lab.reference_pages import cli_page, python_page  # noqa: E402 - the folder is not on the path before


def main() -> None:
    """Writes both pages."""
    for name, page in (("cli", cli_page()), ("python", python_page())):
        path = ROOT / "docs" / "reference" / f"{name}.md"
        path.write_text(page, encoding="utf-8")
        print(path.relative_to(ROOT))


if __name__ == "__main__":
    main()
