"""One architecture from configuration to outcome: export, two steps, and what transformers says of the same rows."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np

import seedtune
from families import oracle
from families.architectures import Architecture
from families.checkpoints import NotTiny, one_line, save
from families.outcomes import Outcome
from families.texts import MAX_TOKENS
from families.tiny import tiny_config
from seedtune.exporter.checkpoint.family import family_of
from seedtune.exporter.graphs.all_graphs import build_graphs
from seedtune.exporter.pipeline import check_stored, open_source, store_bundle
from seedtune.exporter.reference.check import STATE_SCALE, random_rows
from seedtune.exporter.storage.destination import destination, put, staged
from seedtune.exporter.trace.reach import Reach
from seedtune.exporter.trace.traced_model import trace_model
from seedtune.runtime.bundle.manifest import Manifest, Storage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.task.structure import Scope

# A sliding window in tokens: scope "all" takes one that is shorter than some rows, scope "suffix" does not.
WINDOW: dict[Scope, int] = {"suffix": 2 * MAX_TOKENS, "all": MAX_TOKENS // 2}
# In nats. int8 rounds the inputs of layers as well, and its oracle does not.
ALLOWED: dict[Storage, float] = {"fp32": 1e-3, "int8": 0.5}
# Of the gradient in fp32, relative, in the 2-norm.
ALLOWED_OF_GRADIENT = 1e-4
# Their own forward pass hides some of their cycles from autograd (torch.no_grad).
HIDDEN_FROM_AUTOGRAD = {"hrm_text"}
STEPS, RANK = 2, 4


class Wrong(Exception):  # noqa: N818 - a finding, which the table tells
    """A bundle and transformers disagree; says by how much."""


def try_architecture(
    architecture: Architecture, folder: Path, scopes: Sequence[Scope], storages: Sequence[Storage]
) -> Outcome:
    """Everything that is tried of ``architecture``, in ``folder``, which is empty."""
    outcome = Outcome(architecture.key, architecture.name, scopes=list(scopes))
    began = time.monotonic()
    try:
        _try(architecture, folder, scopes, storages, outcome)
    except SeedTuneError as error:
        outcome.verdict, outcome.reason = "refused", _reason(error)
    except NotTiny as error:
        outcome.verdict, outcome.reason = "not built", str(error)
    except Wrong as error:
        outcome.verdict, outcome.reason = "wrong", str(error)
    except Exception:  # noqa: BLE001 - whatever it is, it is what the sweep looks for
        outcome.verdict, outcome.reason = "crash", traceback.format_exc()[-1500:]
    outcome.seconds = round(time.monotonic() - began, 1)
    return outcome


def _try(
    architecture: Architecture, folder: Path, scopes: Sequence[Scope], storages: Sequence[Storage], outcome: Outcome
) -> None:
    last: SeedTuneError | None = None
    for scope in scopes:
        try:
            config = tiny_config(architecture, WINDOW[scope])
        except Exception as error:
            raise NotTiny(f"its configuration does not take small sizes: {one_line(error)}") from error
        family_of(config, architecture.model_type)
        checkpoint = save(architecture, config, folder / f"checkpoint-{scope}")
        try:
            notices = outcome.notices.setdefault(scope, [])
            for storage, manifest in exported(checkpoint, folder / scope, scope, storages, notices.append):
                bundle = folder / scope / storage
                try:
                    difference = _tuned_and_compared(bundle, checkpoint, architecture, manifest)
                except SeedTuneError as error:
                    raise Wrong(f"scope {scope}, {storage}: a checked bundle is refused: {_reason(error)}") from error
                outcome.differences[f"{scope} {storage}"] = difference
                if not difference <= ALLOWED[storage]:
                    raise Wrong(f"scope {scope}, {storage}: {difference:.3g} nats from transformers alone")
                seen = architecture.model_type not in HIDDEN_FROM_AUTOGRAD
                if storage == "fp32" and seen and "gradient" in manifest.graphs:
                    distance = _gradient_error(bundle, checkpoint, architecture, manifest)
                    outcome.gradients[f"{scope} {storage}"] = distance
                    if not distance <= ALLOWED_OF_GRADIENT:
                        raise Wrong(f"scope {scope}, {storage}: the gradient is {distance:.3g} from autograd's")
        except SeedTuneError as error:
            outcome.refusals[scope], last = _reason(error), error
    if last is not None and not outcome.differences:
        raise last


def exported(
    checkpoint: Path,
    folder: Path,
    scope: Scope,
    storages: Sequence[Storage],
    notice: Callable[[str], None] = lambda _text: None,
) -> Iterator[tuple[Storage, Manifest]]:
    """A bundle in each storage, traced once; otherwise as `export_bundle` does it."""
    folder.mkdir()
    reach = Reach(scope)
    opened = open_source(str(checkpoint), str(checkpoint / "task.toml"), reach, lambda _text: None)
    model = trace_model(opened.checkpoint, opened.task, reach, "fp32", "all", RANK, 0, lambda _text: None)
    for storage in storages:
        built = build_graphs(model, opened.task.label_word_ids, storage, notice)
        place = destination(folder / storage, False)
        with staged(place) as inside:
            manifest = store_bundle(inside, opened, model, built, storage)
            manifest = check_stored(inside, manifest, opened.checkpoint, built.encodings)
            put(inside, place)
        yield storage, manifest


def _tuned_and_compared(bundle: Path, checkpoint: Path, architecture: Architecture, manifest: Manifest) -> float:
    """The largest difference from transformers, in nats, of the untouched model and of what two steps made of it."""
    rows = checkpoint / "rows.jsonl"
    differences = []
    # A linear probe of a few rows of random states has large weights, which magnify what int8 rounds.
    start = "zero" if manifest.storage == "int8" else "linear-probe"
    with seedtune.open(bundle, threads=1) as model:
        task = model.bundle.compiled_task()
        examples = [task.encode(row.fields, row.label or 0) for row in model.rows(rows)]
        for tuned in (False, True):
            if tuned:
                out = bundle.parent / f"{bundle.name}-run"
                for _ in model.tune(rows, out=out, held_out_rows=0, steps=STEPS, batch_size=4, start=start):
                    pass
            state = model.state.values.copy() if tuned else None
            expected = oracle.scores(checkpoint, architecture.name, manifest, examples, state)
            found = model.evaluate(rows).probabilities
            assert found is not None
            differences.append(np.abs(np.log(found.astype(np.float64)) - expected).max())
    worst = float(max(differences))
    return worst if np.isfinite(differences).all() else float("inf")


def _gradient_error(bundle: Path, checkpoint: Path, architecture: Architecture, manifest: Manifest) -> float:
    """How far the gradient at a random state is from autograd's, relative."""
    calls = SingleCalls(Bundle.open(bundle))
    examples = random_rows(manifest)
    state = (STATE_SCALE * np.random.default_rng(RANK).standard_normal(manifest.state.parameters)).astype(np.float32)
    batch = calls.batch(examples, MAX_TOKENS * len(examples))
    (found,) = calls.outputs("gradient", ["gradient"], batch, {"state": state})
    expected = oracle.gradient(checkpoint, architecture.name, manifest, examples, state)
    error = float(np.linalg.norm(found - expected) / np.linalg.norm(expected))
    return error if np.isfinite(error) else float("inf")


def _reason(error: SeedTuneError) -> str:
    """What and value in one line."""
    value = "" if error.value is None else f" ({error.value})"
    return " ".join(f"{error.what}{value}".split())[:400]
