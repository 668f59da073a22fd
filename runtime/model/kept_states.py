"""States that a run along gradients keeps as files, because its journal cannot make them again: latest and best."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.journal.format import Journal
from seedtune.runtime.vectors import Floats, read_vectors, sha256_of_vector, write_vectors

FOLDER = "states"
SUFFIX = ".safetensors"
STATE, FIRST_MOMENT, SECOND_MOMENT = "state", "first_moment", "second_moment"
DIGITS = 6


class KeptStates:
    """The folder ``states`` of a RUN folder: STEP.safetensors with a state and both moments of AdamW, [n] each.

    Args:
        run: the RUN folder.
        parameters: n.
    """

    def __init__(self, run: Path, parameters: int) -> None:
        self.folder = run / FOLDER
        self.parameters = parameters

    def steps(self) -> list[int]:
        """The steps whose states are there, in order."""
        names = [path.stem for path in self.folder.glob(f"*{SUFFIX}")] if self.folder.is_dir() else []
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def write(self, step: int, state: Floats, first_moment: Floats, second_moment: Floats) -> None:
        """Keeps the state after ``step`` steps; on return it survives a power cut.

        Raises:
            SeedTuneError: the file cannot be written.
        """
        try:
            self.folder.mkdir(exist_ok=True)
        except OSError as error:
            raise SeedTuneError(f"the folder cannot be made ({error.strerror})", file=self.folder) from error
        write_vectors(self._path(step), {STATE: state, FIRST_MOMENT: first_moment, SECOND_MOMENT: second_moment})

    def read(self, step: int, journal: Journal) -> tuple[Floats, Floats, Floats]:
        """State and moments after ``step`` steps, [n] each.

        Raises:
            SeedTuneError: they were not kept, or are not those that ``journal`` recorded.
        """
        kept = self.steps()
        if step not in kept:
            raise SeedTuneError(
                "the state after this step was not kept",
                file=self.folder,
                value=step,
                rule=f"one of {', '.join(map(str, kept)) or 'none'}: a run along gradients keeps its latest and best",
                remedy="choose one of these",
            )
        path = self._path(step)
        found = read_vectors(path, (STATE, FIRST_MOMENT, SECOND_MOMENT), self.parameters)
        if step:
            recorded = bytes(journal.of_step(step - 1)["state_sha256"][0])
            if sha256_of_vector(found[STATE]) != recorded:
                raise SeedTuneError(
                    "the kept state is not the one that the journal recorded",
                    file=path,
                    value=sha256_of_vector(found[STATE]).hex(),
                    rule=f"SHA-256 {recorded.hex()}",
                    remedy="restore the folder from a copy, or start a new run",
                )
        return found[STATE], found[FIRST_MOMENT], found[SECOND_MOMENT]

    def keep_only(self, steps: Collection[int]) -> None:
        """Removes the others."""
        for step in set(self.steps()) - set(steps):
            self._path(step).unlink(missing_ok=True)

    def _path(self, step: int) -> Path:
        return self.folder / f"{step:0{DIGITS}d}{SUFFIX}"
