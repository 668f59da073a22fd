"""A bundle at work: asked about rows, with the state that a run made of it, or none."""

from __future__ import annotations

import dataclasses
import functools
from collections.abc import Callable, Generator, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.context.contexts import CachePlan
from seedtune.runtime.data.rows import Rows, read_rows, rows_of
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.generators import result_of
from seedtune.runtime.graphs.mapped import MappedGraphs
from seedtune.runtime.graphs.state import State
from seedtune.runtime.graphs.types import Graphs
from seedtune.runtime.model.caching import caching, require_contexts
from seedtune.runtime.model.evaluation import Evaluation, evaluating
from seedtune.runtime.model.feeders import CacheOptions, cache_options, opening_feeder
from seedtune.runtime.model.generating import Generating
from seedtune.runtime.model.head_evaluation import evaluating_heads
from seedtune.runtime.model.limit import examples_of_evaluation, limit_memory
from seedtune.runtime.model.predicting import Data, Predicting
from seedtune.runtime.model.splits import encode_rows
from seedtune.runtime.model.tuned import Tuned
from seedtune.runtime.task.compile import CompiledTask
from seedtune.runtime.task.example import Example
from seedtune.runtime.telemetry.events import Event, Notice
from seedtune.runtime.trim import trim

ROWS_PER_CALL = 1024


class Model(Generating, Predicting):
    """What a bundle or a run stands for; a context manager. One thread at a time may use it.

    Args:
        tuned: the bundle, and the journal over it.
        threads: of ONNX Runtime; None for all processors.
        memory_limit_bytes: of everything the process holds: weights are then streamed. None for no limit.
    """

    def __init__(self, tuned: Tuned, *, threads: int | None = None, memory_limit_bytes: int | None = None) -> None:
        self.threads = threads
        self.memory_limit_bytes = memory_limit_bytes
        self._tuned = tuned

    @property
    def bundle(self) -> Bundle:
        """The verified bundle."""
        return self._tuned.bundle

    @property
    def step(self) -> int:
        """The steps that made the state; 0 for the untouched model."""
        return self._tuned.step

    @property
    def is_run(self) -> bool:
        """Whether it is what a run made, rather than a bundle as it is."""
        return self._tuned.journal is not None

    @property
    def state(self) -> State:
        """The trainable state as it is now."""
        return self._tuned.state

    def rows(self, data: Data, *, labelled: bool = True, data_format: str | None = None) -> Rows:
        """The rows of ``data``, checked against the task.

        Args:
            data: rows, or where they are.
            labelled: False for rows to predict.
            data_format: jsonl, csv, tsv or parquet; None for what the ending of a file says.

        Raises:
            SeedTuneError: a row cannot be used; names file and line, or its place.
        """
        task = self.bundle.manifest.language_model.task
        if isinstance(data, Rows):
            return data.labelled(task) if labelled else data
        if isinstance(data, str | Path):
            return read_rows(data, task, labelled, data_format)
        return rows_of(data, task, labelled)

    def evaluate(
        self,
        data: Data | None = None,
        *,
        data_format: str | None = None,
        rows_per_call: int | None = None,
        cache: str | Path | None = None,
        cache_limit: int | str | None = None,
        want_hidden: bool = False,
        on: Callable[[Event], Any] = lambda _event: None,
    ) -> Evaluation:
        """Accuracy, loss and predictions of the state as it is now.

        Args:
            data: labelled rows, or where they are; a bundle of heads brings its own.
            data_format: as in :meth:`rows`.
            rows_per_call: token rows of a call; None for a default, or what a memory limit allows.
            cache: folder of context caches, for a bundle of scope "suffix"; None keeps none.
            cache_limit: bytes of the cache; rows beyond it are computed at each use.
            want_hidden: also give the hidden states that the language-model head reads.
            on: told how far it is.

        Raises:
            SeedTuneError: a row cannot be used, or the memory limit is too small.
        """
        if self.bundle.manifest.objective.brings_rows:
            return result_of(evaluating_heads(self._mapped, self.state.values, data, self.memory_limit_bytes), on)
        caches = cache_options(cache, cache_limit)
        if data is None:
            raise SeedTuneError("there are no rows to evaluate", rule="labelled rows", remedy="give them with --data")
        rows = self.rows(data, data_format=data_format)
        return result_of(self._evaluating(rows, rows_per_call, caches, want_hidden), on)

    def cache_contexts(
        self,
        data: Data,
        out: str | Path,
        *,
        name: str = "train",
        data_format: str | None = None,
        on: Callable[[Event], Any] = lambda _event: None,
    ) -> CachePlan:
        """Computes what is kept of the rows of ``data``, so that a run, here or on a phone, finds it.

        Args:
            data: rows, labelled or not, or where they are.
            out: folder of the cache, made if need be; what it has already is not computed again.
            name: of the split: a run with this folder as its cache looks for "train" and "eval", :meth:`evaluate` for
                its file without the ending. Where host files are absent, every cache of the bundle is read.
            data_format: as in :meth:`rows`.
            on: told how far it is.

        Returns:
            What the cache comes to; what was missing was computed now.

        Raises:
            SeedTuneError: a row cannot be used, the bundle can compute no contexts, or disk or limit is too small.
        """
        return result_of(self._caching(self.rows(data, labelled=False, data_format=data_format), Path(out), name), on)

    def _caching(self, rows: Rows, folder: Path, name: str) -> Generator[Event, None, CachePlan]:
        require_contexts(self.bundle, name)
        yield from map(Notice, rows.notices)
        plan = yield from caching(self.bundle, self._encoded(rows), folder, name, self.memory_limit_bytes, self.threads)
        return plan

    def _encoded(self, rows: Rows) -> list[Example]:
        examples = encode_rows(rows, self._task, rows.where)
        if self._frees_task:
            self.__dict__.pop("_task", None)
            trim()
        return examples

    def _evaluating(
        self, rows: Rows, rows_per_call: int | None, cache: CacheOptions, want_hidden: bool
    ) -> Generator[Event, None, Evaluation]:
        yield from map(Notice, rows.notices)
        examples = self._encoded(rows)
        graphs, most = self._graphs(examples, rows_per_call, cache)
        if graphs.choice:
            yield Notice(str(graphs.choice))
        feeder = yield from opening_feeder(graphs, examples, name=Path(rows.where).stem, cache=cache, rows=rows)
        result = yield from evaluating(graphs, self.state.values, feeder, rows=most, want_hidden=want_hidden)
        return result

    @functools.cached_property
    def _mapped(self) -> MappedGraphs:
        return MappedGraphs(self.bundle, self.threads, keep=True)

    @functools.cached_property
    def _task(self) -> CompiledTask:
        return self.bundle.compiled_task()

    @property
    def _frees_task(self) -> bool:
        # A tokenizer of 50,000 tokens takes 50 MB.
        return self.memory_limit_bytes is not None

    def _graphs(
        self, examples: Sequence[Example], rows_per_call: int | None, cache: CacheOptions
    ) -> tuple[Graphs, int]:
        if self.memory_limit_bytes is None:
            return self._mapped, rows_per_call or ROWS_PER_CALL
        graphs = limit_memory(
            self.bundle,
            examples,
            self.memory_limit_bytes,
            examples_at_once=examples_of_evaluation(examples),
            cached=cache.keeps_all,
            tokens_per_call=max(1, rows_per_call // 2) if rows_per_call else None,
            threads=self.threads,
        )
        return graphs, 2 * graphs.choice.tokens_per_call

    def close(self) -> None:
        """Frees the graphs and the state; whoever asks again has them opened and replayed again."""
        # A copy without the state that the other has cached.
        self._tuned = dataclasses.replace(self._tuned)
        for name in ("_task", "_mapped"):
            self.__dict__.pop(name, None)
        self._close_generation()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
