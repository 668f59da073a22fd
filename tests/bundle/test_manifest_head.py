"""A head in the layout of a state: where it may lie, and how large it is."""

from pathlib import Path

import pytest

from seedtune.runtime.bundle.manifest import Head, StateLayout, Target, _check_layout
from seedtune.runtime.errors import SeedTuneError

TARGETS = (Target("a", "a.lora_A.weight", 0, 10, 8, 4),)
PATH = Path("manifest.json")


def test_a_head_lies_behind_the_targets() -> None:
    assert Head(64, 2, 5).parameters == 13
    _check_layout(StateLayout(96, 4, 0, TARGETS, Head(64, 2, 5)), 2, PATH)


@pytest.mark.parametrize(
    ("parameters", "head", "labels"),
    [
        (96, Head(32, 2, 5), 2),  # over a target
        (128, Head(96, 2, 5), 2),  # behind a gap
        (96, Head(65, 2, 5), 2),  # not at a whole word of noise
        (96, Head(64, 3, 5), 2),  # of another task
        (96, Head(64, 0, 5), 0),  # of a task without labels
        (96, Head(64, 2, 0), 2),
        (64, Head(64, 2, 5), 2),  # beyond the state
        (128, Head(64, 2, 5), 2),  # in a state that is too large
        (96, Head(64, 2, 50), 2),  # larger than the state
    ],
)
def test_a_head_that_does_not_add_up_is_refused(parameters: int, head: Head, labels: int) -> None:
    with pytest.raises(SeedTuneError, match="state layout") as caught:
        _check_layout(StateLayout(parameters, 4, 0, TARGETS, head), labels, PATH)
    assert str(caught.value.file) == "manifest.json"
