"""A model whose answer for a row depends on the rows beside it is refused; one whose answer does not is not."""

from pathlib import Path

import numpy as np
import pytest
import transformers
from export_lab import random_model, save_folder
from graph_lab import products_saturate
from suffix_families import BASE, config_of

from seedtune.exporter.pipeline import export_bundle
from seedtune.exporter.reference.check import random_rows
from seedtune.exporter.reference.rows_alone import refuse_dependent_rows
from seedtune.runtime.bundle.manifest import Storage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.errors import SeedTuneError
from seedtune.runtime.model.single_call import SingleCalls
from seedtune.runtime.task.structure import Scope

pytestmark = pytest.mark.traced

SMALL = BASE | {"num_hidden_layers": 1}
# Both mix tokens without asking which of them are filling, in transformers too.
DEPENDENT = {
    "FNet": {name: SMALL[name] for name in SMALL if name != "num_attention_heads"},
    "ConvBert": SMALL | {"embedding_size": 32},
}


@pytest.mark.parametrize(("kind", "storage"), [("FNet", "int8"), ("ConvBert", "fp32")])
def test_a_row_that_feels_its_neighbours_is_refused(tmp_path: Path, kind: str, storage: Storage) -> None:
    if storage == "int8" and products_saturate():
        pytest.skip("this processor's 8-bit products overflow (x86 without VNNI): docs/reference/limits.md")
    config = getattr(transformers, f"{kind}Config")(**DEPENDENT[kind])
    folder = save_folder(tmp_path / "model", random_model(config, "masked"))
    with pytest.raises(SeedTuneError, match="depends on the rows beside it") as caught:
        export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", storage=storage)
    assert caught.value.file == f"{kind}ForMaskedLM"
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


@pytest.mark.parametrize(("case", "scope"), [("llama", "suffix"), ("bert", "suffix"), ("bert", "all")])
def test_one_answer_of_another_batch_is_seen(tmp_path: Path, case: str, scope: Scope) -> None:
    """The export compared each row alone with all together, and let it pass; here one answer is falsified."""
    family, config = config_of(case, num_hidden_layers=1)
    folder = save_folder(tmp_path / "model", random_model(config, family))
    export_bundle(str(folder), str(folder / "task.toml"), tmp_path / "out", scope=scope, context_storage="fp32")
    bundle = Bundle.open(tmp_path / "out")
    rows = random_rows(bundle.manifest)
    assert len({len(row.ids) for row in rows}) > 1
    state = np.zeros(bundle.manifest.state.parameters, np.float32)
    calls = SingleCalls(bundle)
    together = np.concatenate(calls.output_of_each("eval", "log_probabilities", rows, {"state": state}))
    assert together.shape == (len(rows), 2)
    refuse_dependent_rows(calls, rows, "log_probabilities", state, together)
    for place in range(len(rows)):
        for change in (5e-3, np.nan):
            wrong = together.copy()
            wrong[place, 0] += change
            with pytest.raises(SeedTuneError, match="depends on the rows beside it"):
                refuse_dependent_rows(calls, rows, "log_probabilities", state, wrong)
