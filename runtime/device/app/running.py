"""The app told to start, go on and stop, and whether it took it."""

from __future__ import annotations

from seedtune.runtime.device.app.access import Access
from seedtune.runtime.device.app.names import RECORD, RUNS
from seedtune.runtime.device.app.request import go_on_command, resume_command, stop_command
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.telemetry.records import RESULT_FILE


def start(access: Access, command: str) -> None:
    """Runs ``command``, which starts the service.

    Raises:
        SeedTuneError: Android refuses it, and why; or the phone cannot be reached.
    """
    answer = access.phone.patient(command)
    words = f"{answer.text}\n{answer.complaint}"
    # am has said failure with status 0.
    if answer.status or "Error:" in words or "Exception" in words or "Starting service" not in words:
        raise SeedTuneError(
            "Android does not start the app's service",
            value=answer.complaint or "no answer",
            remedy="unlock the phone, open the app once, and try again; seedtune device doctor says what is wrong",
        )


def stop(access: Access) -> None:
    """Ends the run that is made, behind its current step.

    Raises:
        SeedTuneError: as :func:`start`.
    """
    start(access, stop_command(access.user))


def go_on(access: Access, run: str) -> None:
    """Ends a pause of the run, and starts it where it is not running, with what it was begun with.

    Raises:
        SeedTuneError: the app kept nothing of the run, or as :func:`start`.
    """
    if access.shell(f"test -f {access.path(RUNS, run, RECORD)}").status:
        raise SeedTuneError(
            "what the run was begun with is not on the phone",
            file=f"{RUNS}/{run}/{RECORD}",
            remedy="start it again: seedtune device train BUNDLE --train ROWS --run NAME",
        )
    start(access, go_on_command(access.user))
    start(access, resume_command(run, access.user))


def read_result(access: Access, run: str) -> bytes | None:
    """result.json of ``run`` as it is on the phone; None where there is none.

    Raises:
        SeedTuneError: the phone cannot be reached.
    """
    answer = access.shell(f"cat {access.path(RUNS, run, RESULT_FILE)} 2>/dev/null")
    return answer.out if answer.status == 0 else None
