"""Rows that training and held-out data share are counted, against a plain slow count."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from seedtune.runtime.data.rows import Row
from seedtune.runtime.model.splits import shared_rows

ROWS = st.lists(
    st.builds(Row, st.fixed_dictionaries({"text": st.sampled_from("abc")}), st.sampled_from([0, 1]), st.integers(1, 9)),
    max_size=8,
)


@given(train=ROWS, held_out=ROWS)
def test_held_out_rows_that_are_training_rows_are_counted_by_text_and_label(
    train: list[Row], held_out: list[Row]
) -> None:
    plain = sum(any((row.fields, row.label) == (other.fields, other.label) for other in train) for row in held_out)
    assert shared_rows(train, held_out) == plain
