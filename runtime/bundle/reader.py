"""A bundle is verified files: each is checked against the manifest before anything in it is used.

A bundle may come from anywhere, so its manifest cannot name a file outside the folder, sizes are compared before
contents are hashed, and graphs may only refer to the weights file beside them (ONNX Runtime enforces the latter).
"""

from __future__ import annotations

import hashlib
import re
from pathlib import Path

from tokenizers import Tokenizer

from seedtune.runtime.bundle.host_files import CONTEXT, CONTEXT_WEIGHTS, absent_host_files, require_host_files
from seedtune.runtime.bundle.manifest import MANIFEST, Manifest, decode_manifest
from seedtune.runtime.bundle.objective import DECODE, TOKENIZER, WEIGHTS
from seedtune.runtime.bundle.stage_plan import STAGES, StagePlan, decode_plan, require_fitting
from seedtune.runtime.decoding import read_plain_file
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.files import require_utf8, sha256_of
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.native import refusing, require_usable_ids
from seedtune.runtime.task.plain_text import Described
from seedtune.runtime.trim import trim

STAGE_GRAPH = re.compile(r"[a-z]+\.stage\d+\.onnx")
REMEDY = "copy the bundle again, or export it again"


class Bundle:
    """A verified bundle folder.

    Attributes:
        path: the folder.
        manifest: its manifest.
        sha256: the SHA-256 of ``manifest.json``, which identifies the bundle.
        plan: the stages of the graphs that are here, for runs within a memory limit.
        computes_contexts: whether all files are here; False where the host files were left at the desk, so that what is
            kept of rows can only be read from a cache.
    """

    def __init__(
        self, path: Path, manifest: Manifest, sha256: str, plan: StagePlan, computes_contexts: bool = True
    ) -> None:
        self.path = path
        self.manifest = manifest
        self.sha256 = sha256
        self.plan = plan
        self.computes_contexts = computes_contexts

    @classmethod
    def open(cls, path: Path, *, verify_weights: bool = True) -> Bundle:
        """Reads and verifies the bundle at ``path``.

        Args:
            path: the bundle folder.
            verify_weights: also hash the weights file (its size is always compared).

        Raises:
            SeedTuneError: a file is missing, truncated or altered, or the manifest is not acceptable. All host files
                may be missing.
        """
        require_utf8(path.absolute())
        manifest_path = path / MANIFEST
        if not path.is_dir():
            raise SeedTuneError(
                "no such bundle folder",
                file=path,
                remedy="make one with: seedtune export SOURCE --task TASK --out BUNDLE",
            )
        if not manifest_path.is_file():
            raise SeedTuneError(
                f"this folder has no {MANIFEST}, so it is not a bundle",
                file=path,
                remedy="give the folder that seedtune export wrote",
            )
        raw = read_plain_file(manifest_path, "the manifest", REMEDY)
        manifest = decode_manifest(raw, manifest_path)
        required = {*manifest.graphs.values(), *manifest.objective.files}
        required |= {CONTEXT_WEIGHTS} if manifest.host_files else set()
        _require_files(manifest, required, manifest_path, allowed=STAGE_GRAPH)
        absent = absent_host_files(manifest, manifest_path)
        for name, entry in manifest.files.items():
            if name not in absent:
                hashed = verify_weights or name not in (WEIGHTS, CONTEXT_WEIGHTS)
                _verify(path / name, entry.size_bytes, entry.sha256 if hashed else None)
        plan = _read_plan(manifest, path / STAGES)
        _require_files(manifest, required | set(plan.files), manifest_path)
        require_host_files(manifest, plan, manifest_path)
        here = plan.without(CONTEXT) if absent else plan
        return cls(path, manifest, hashlib.sha256(raw).hexdigest(), here, not absent)

    @property
    def weights_path(self) -> Path:
        """The file of the weights that every device needs."""
        return self.path / WEIGHTS

    @property
    def weights_paths(self) -> list[Path]:
        """All files of weights that are here."""
        apart = self.manifest.host_files and self.computes_contexts
        return [self.weights_path, *([self.path / CONTEXT_WEIGHTS] if apart else [])]

    def graph_path(self, name: str) -> Path:
        """The file of a graph: "probe", "eval", "update"; "context", "gradient" and "decode" where the bundle has them.

        Raises:
            SeedTuneError: as :meth:`require_graph`.
        """
        self.require_graph(name)
        return self.path / self.manifest.graphs[name]

    def require_graph(self, name: str) -> None:
        """Raises SeedTuneError where there is no graph ``name``, or it is a host file and these are not here."""
        if name == DECODE:
            self._require_decoding()
        if name == CONTEXT and not self.computes_contexts:
            raise SeedTuneError(
                "contexts cannot be computed here: the bundle's host files are at the desk",
                file=self.path,
                value=", ".join(self.manifest.host_files),
                rule="a cache with the contexts of all rows, or all files of the bundle",
                remedy="make the cache at the desk with: seedtune cache BUNDLE --data ROWS --out CACHE",
            )

    def _require_decoding(self) -> None:
        objective = self.manifest.language_model
        if objective.model.family != "causal":
            raise SeedTuneError(
                "a masked language model generates no text",
                file=self.path,
                value=objective.model.architecture,
                rule="a causal language model",
                remedy="ask it for labels with: seedtune predict",
            )
        if objective.decode is None:
            raise SeedTuneError(
                "the bundle has no decode graph, so it cannot generate text",
                file=self.path,
                value=f"files: {', '.join(self.manifest.graphs.values())}",
                rule="a bundle of a causal model, exported with --decode, or for a completion task",
                remedy="export it again with --decode, and tune the new bundle",
            )
        if not self.computes_contexts:
            raise SeedTuneError(
                "text cannot be generated here: the bundle's host files are at the desk",
                file=self.path,
                value=", ".join(self.manifest.host_files),
                rule="all files of the bundle",
                remedy="copy the host files too, or generate at the desk",
            )

    def tokenizer(self) -> Tokenizer:
        """The tokenizer of the bundle.

        Raises:
            SeedTuneError: this version of tokenizers cannot read it.
        """
        path = self.path / TOKENIZER
        with refusing("the tokenizer cannot be read", "upgrade the tokenizers package", path):
            tokenizer = Tokenizer.from_file(str(path))
            require_usable_ids(tokenizer, path)
            return tokenizer

    def compiled_task(self) -> CompiledTask:
        """The task of the bundle, ready to encode rows.

        Raises:
            SeedTuneError: the tokenizer gives the label words other ids than the graphs were built for.
        """
        model = self.manifest.language_model.model
        # The tokenizer itself is gone before its copy is there; together they would be the most that a run ever holds.
        described = Described.of(self.tokenizer())
        trim()
        try:
            compiled = CompiledTask(
                self.manifest.language_model.task,
                described.made(),
                model.family,
                model.mask_token,
                model.unknown_token,
                model.max_positions,
                self.manifest.language_model.scope,
                model.end_token,
                vocabulary_size=model.vocabulary_size,
            )
        except SeedTuneError as error:
            raise error.at(self.path) from error
        if tuple(compiled.label_word_ids) != self.manifest.language_model.label_word_ids:
            raise SeedTuneError(
                "the tokenizer gives the label words other ids than the graphs were built for",
                file=self.path / TOKENIZER,
                value=list(compiled.label_word_ids),
                rule=f"{list(self.manifest.language_model.label_word_ids)}",
                remedy=REMEDY,
            )
        return compiled


def _read_plan(manifest: Manifest, path: Path) -> StagePlan:
    """The stages in the file ``path``; none of a bundle that has no weights to stream."""
    if path.name not in manifest.objective.files:
        return StagePlan({}, {}, {})
    plan = decode_plan(read_plain_file(path, "the stages", REMEDY), path)
    context = manifest.language_model.context
    require_fitting(plan, manifest.graphs.keys(), context.layers if context else 0, path)
    return plan


def _require_files(
    manifest: Manifest, required: set[str], manifest_path: Path, allowed: re.Pattern[str] | None = None
) -> None:
    listed = set(manifest.files)
    strange = (required - listed) | {name for name in listed - required if not (allowed and allowed.fullmatch(name))}
    if strange:
        raise SeedTuneError(
            "the manifest lists other files than a bundle has",
            file=manifest_path,
            value=sorted(strange),
            rule=", ".join(sorted(required)),
            remedy=REMEDY,
        )


def _verify(path: Path, size_bytes: int, sha256: str | None) -> None:
    if not path.is_file() or path.is_symlink():
        raise SeedTuneError("a file of the bundle is missing", file=path, rule="a plain file", remedy=REMEDY)
    found = path.stat().st_size
    if found != size_bytes:
        what = "truncated" if found < size_bytes else "longer than it was"
        raise SeedTuneError(
            f"a file of the bundle is {what}",
            file=path,
            value=f"{found:,} bytes",
            rule=f"{size_bytes:,} bytes",
            remedy=REMEDY,
        )
    if sha256 is not None and (actual := sha256_of(path)) != sha256:
        raise SeedTuneError(
            "a file of the bundle has been altered",
            file=path,
            value=actual,
            rule=f"SHA-256 {sha256}",
            remedy=REMEDY,
        )
