"""One bench in a process of its own: what it prints is passed through, and its last line is kept."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.module_process import module_environment
from seedtune.runtime.errors import SeedTuneError

EXIT_BY_SIGNAL = 128


def run_bench(name: str, arguments: Sequence[str], scripts: Path) -> tuple[int, dict[str, Any] | None]:
    """Runs the bench ``name`` of the folder ``scripts``; returns its exit code and the object in its last line.

    The object is None when the bench failed, or was only asked how it is used.

    Raises:
        SeedTuneError: it ended well, but its last line is no JSON object.
    """
    # Without -P the working directory would come first on its path, and whatever is called as a package is there.
    command = [sys.executable, "-P", "-m", f"bench.{name}", *arguments]
    last = b""
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=module_environment(scripts)) as process:
        assert process.stdout is not None
        try:
            for line in process.stdout:
                sys.stdout.buffer.write(line)
                sys.stdout.buffer.flush()
                last = line if line.strip() else last
            code = process.wait()
        except KeyboardInterrupt:
            # The terminal has interrupted the bench as well, which may have a cgroup or a folder to put away.
            process.wait()
            raise
        except BaseException:
            process.terminate()
            raise
    if code:
        return (EXIT_BY_SIGNAL - code if code < 0 else code), None
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--help" in own or "-h" in own:
        return 0, None
    try:
        result = json.loads(last)
    except ValueError:
        result = None
    if not isinstance(result, dict):
        raise SeedTuneError(
            "the bench ended without its figures",
            file=scripts / "bench" / f"{name}.py",
            value=last.decode("utf-8", "replace").strip(),
            rule="the last line of standard output is one JSON object",
        )
    return 0, result
