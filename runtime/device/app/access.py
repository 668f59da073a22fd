"""How files of the app are reached: straight from adb's shell, or as the app itself by ``run-as``.

The app keeps its files in its folder on shared storage, which adb's shell may read and write, or, on a phone without
such storage, among its private ones. Which way is open depends on the Android version, on the build of the app
(``run-as`` is for debuggable ones) and on whose profile it was installed in, so every way is tried once, the cheap
one first.
"""

from __future__ import annotations

from dataclasses import dataclass

from seedtune.runtime.device.adb.phone import Answer, Phone
from seedtune.runtime.device.adb.text import quoted
from seedtune.runtime.device.app.names import ACTIVITY, BUNDLES, CONTEXTS, DATA, PACKAGE, RUNS
from seedtune.runtime.errors import SeedTuneError


@dataclass(frozen=True)
class Access:
    """The app's folder on a phone.

    Attributes:
        phone: the phone.
        root: the folder, as scripts of :meth:`script` see it.
        as_app: whether scripts run as the app.
        user: the profile, None for the one that the shell is in.
    """

    phone: Phone
    root: str
    as_app: bool
    user: int | None = None

    def script(self, script: str) -> str:
        """``script`` as adb's shell is to be given it."""
        if not self.as_app:
            return script
        return f"{run_as(self.user)} sh -c {quoted(script)}"

    def path(self, *parts: str) -> str:
        """A place in the folder, quoted for the shell."""
        return quoted("/".join((self.root, *parts)))

    def shell(self, script: str, **options: float) -> Answer:
        """:meth:`Phone.patient` with ``script``, in the way that is open."""
        return self.phone.patient(self.script(script), **options)

    @property
    def described(self) -> str:
        """In a few words."""
        return f"{self.root} {'as the app (run-as)' if self.as_app else 'straight from the shell'}"


def run_as(user: int | None) -> str:
    """The words that run a command as the app."""
    return f"run-as {PACKAGE}" + ("" if user is None else f" --user {user}")


def find_access(phone: Phone, user: int | None = None) -> Access:
    """The first way to the app's files that is open; the app is started once, which makes its folders.

    Raises:
        SeedTuneError: the app is not installed, no way is open, or the phone cannot be reached.
    """
    whose = "" if user is None else f" --user {user}"
    if not phone.patient(f"pm path{whose} {PACKAGE}").text.startswith("package:"):
        raise SeedTuneError(
            "the app is not installed on this phone",
            value=PACKAGE if user is None else f"{PACKAGE} for user {user}",
            rule="the SeedTune app",
            remedy="seedtune device install; for another profile of the phone, --user NUMBER",
        )
    shared = f"/storage/emulated/{user}" if user is not None else "/sdcard"
    outside = f"{shared}/Android/data/{PACKAGE}/files"
    ways = (Access(phone, outside, False, user), Access(phone, outside, True, user), Access(phone, "files", True, user))
    refusals: list[str] = []
    for first in (True, False):
        for way in ways:
            answer = way.shell(_probe(way, make=not first))
            if answer.status == 0 and answer.text.endswith("open"):
                return way
            refusals.append(f"{way.described}: {answer.complaint or 'refused'}")
        if first:
            # Its Activity makes the folders; on a locked phone it starts all the same.
            phone.patient(f"am start{whose} -n {ACTIVITY}")
    raise SeedTuneError(
        "the app's files cannot be reached",
        value="; ".join(reversed(refusals[len(ways) :])),
        rule="its folder on shared storage, or run-as",
        remedy="install a debuggable build (./scripts/build_apk makes one); for another profile, --user NUMBER",
    )


def _probe(way: Access, make: bool) -> str:
    folders = " ".join(way.path(name) for name in (BUNDLES, DATA, CONTEXTS, RUNS))
    made = f"mkdir -p {folders} && " if make else ""
    mark = way.path(RUNS, ".seedtune-probe")
    # What looks writable may not be (SELinux, FUSE): only a file that was written and read back tells.
    return f"{made}echo open > {mark} && cat {mark} && rm {mark}"
