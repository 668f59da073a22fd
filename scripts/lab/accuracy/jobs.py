"""The jobs of the bench, one after another: what was done before is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.accuracy.catalogue import entering_layers
from lab.accuracy.corpora import Corpus
from lab.accuracy.language_model import LanguageModel
from lab.accuracy.method import Budget, Method, Prepared
from lab.accuracy.results import Result, append_result, find_result, origin, read_results


@dataclass(frozen=True)
class Plan:
    """What is asked for.

    Attributes:
        source: of the model.
        half: whether frozen products are in bfloat16.
        corpora: the tasks.
        methods: in order.
        seeds: how many of each seeded method.
        budget: of each method.
        output: a folder for what is made.
        results: the file of results.
    """

    source: str
    half: bool
    corpora: Sequence[Corpus]
    methods: Sequence[Method]
    seeds: int
    budget: Budget
    output: Path
    results: Path

    def jobs(self) -> Iterator[tuple[Corpus, Method, int, dict[str, Any]]]:
        """Every job and its key, the first seed of everything first."""
        for seed in range(self.seeds):
            for corpus in self.corpora:
                for method in self.methods:
                    if method.seeded or seed == 0:
                        yield corpus, method, seed, self._key(corpus, method, seed)

    def there(self) -> list[Result]:
        """The results of these jobs that the file has."""
        read = read_results(self.results)
        found = (find_result(read, key) for *_, key in self.jobs())
        return [result for result in found if result is not None]

    def _key(self, corpus: Corpus, method: Method, seed: int) -> dict[str, Any]:
        return {
            "source": {"model": self.source, "half": self.half},
            "task": {"name": corpus.name, "sha256": fingerprint(corpus)},
            "method": method.name,
            "seed": seed,
            "rows": {part: len(rows) for part, rows in corpus.rows.items()},
            "settings": method.settings(self.budget),
        }


def run_jobs(plan: Plan) -> Iterator[Result]:
    """Runs what the file of results lacks, and yields each result when it is safe there."""
    model: LanguageModel | None = None
    prepared: dict[str, Prepared] = {}
    for corpus, method, seed, key in plan.jobs():
        if find_result(read_results(plan.results), key) is not None:
            continue
        if model is None:
            model = LanguageModel.opened(plan.source, half=plan.half)
        if corpus.name not in prepared:
            entering = entering_layers(len(model.layers))
            folder = (
                plan.output
                / "frozen"
                / f"{corpus.name}-{_short(plan.source, plan.half, fingerprint(corpus), entering)}"
            )
            prepared[corpus.name] = Prepared(corpus, model, entering, folder, plan.source)
        outcome = method.run(prepared[corpus.name], seed, plan.budget)
        result = Result(key, outcome.as_dict(), origin())
        append_result(plan.results, result)
        yield result


def fingerprint(corpus: Corpus) -> str:
    """Of the task and of all its rows."""
    return _short(corpus.task, [list(corpus.rows[part]) for part in sorted(corpus.rows)])


def _short(*parts: object) -> str:
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]
