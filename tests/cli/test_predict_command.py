"""``seedtune predict``: the face's answers, for a text, for files, and for rows as they come."""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable
from pathlib import Path
from subprocess import CompletedProcess

import pytest

import seedtune as face

pytestmark = pytest.mark.traced

Command = Callable[..., CompletedProcess[str]]
TEXTS = ("a lovely film", "a dull song, and an awful one", "great", "a book")


@pytest.fixture(scope="module")
def expected(tiny_bundle: Path) -> list[dict[str, float]]:
    """Of each text alone."""
    with face.open(tiny_bundle) as model:
        return [model.predict([{"text": text}])[0] for text in TEXTS]


def test_one_text_has_a_table_and_with_json_its_numbers(
    tiny_bundle: Path, seedtune: Command, expected: list[dict[str, float]]
) -> None:
    likeliest = max(expected[0], key=expected[0].__getitem__)
    shown = seedtune("predict", tiny_bundle, TEXTS[0])
    assert shown.returncode == 0, shown.stderr
    assert shown.stdout.split()[:2] == [likeliest, f"{expected[0][likeliest]:.2%}"]
    found = json.loads(seedtune("predict", tiny_bundle, TEXTS[0], "--json").stdout)
    assert found["label"] == likeliest
    assert found["probabilities"] == pytest.approx(expected[0], abs=1e-6)
    assert (found["rows"], found["step"]) == (1, 0)


@pytest.mark.parametrize("at_once", [1, 3, 256])
def test_rows_of_a_file_are_answered_in_their_order(
    tiny_bundle: Path, seedtune: Command, expected: list[dict[str, float]], tmp_path: Path, at_once: int
) -> None:
    rows = tmp_path / "rows.csv"
    rows.write_text("text\n" + "".join(f'"{text}"\n' for text in TEXTS), encoding="utf-8")
    done = seedtune("predict", tiny_bundle, "--data", rows, "--rows-at-once", at_once, "--json")
    assert done.returncode == 0, done.stderr
    *lines, last = map(json.loads, done.stdout.splitlines())
    assert [line["fields"]["text"] for line in lines] == list(TEXTS)
    for line, wanted in zip(lines, expected, strict=True):
        assert line["probabilities"] == pytest.approx(wanted, abs=1e-6)
        assert line["label"] == max(wanted, key=wanted.__getitem__)
    assert last["rows"] == len(TEXTS)


def test_a_row_on_standard_input_is_answered_before_the_next_one_comes(
    tiny_bundle: Path, entry_point: list[str], expected: list[dict[str, float]]
) -> None:
    command = [*entry_point, "predict", str(tiny_bundle), "--data", "-"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        assert process.stderr is not None
        for text, wanted in zip(TEXTS, expected, strict=True):
            process.stdin.write(json.dumps({"text": text}).encode() + b"\n\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline())
            assert answer["fields"] == {"text": text}
            assert answer["probabilities"] == pytest.approx(wanted, abs=1e-6)
        # A line that is no row ends it, with its number; without an end of line too.
        process.stdin.write(b'{"txt": "a"}')
        process.stdin.close()
        message = process.stderr.read().decode()
        assert process.wait() == 2
    assert "standard input:9" in message
    assert "did you mean" in message


def test_answers_are_asked_for_as_they_are_needed(tiny_bundle: Path) -> None:
    taken = []

    def rows() -> object:
        for text in TEXTS:
            taken.append(text)
            yield {"text": text}

    with face.open(tiny_bundle) as model:
        answers = model.predictions(rows(), rows_at_once=2)  # type: ignore[arg-type]
        assert not taken
        assert next(answers).fields == {"text": TEXTS[0]}
        assert taken == list(TEXTS[:2])
        assert len(list(answers)) == 3


@pytest.mark.parametrize("arguments", [(), ("a", "--data", "rows.jsonl"), ("  ",)])
def test_what_cannot_be_predicted_is_refused(tiny_bundle: Path, seedtune: Command, arguments: tuple[str, ...]) -> None:
    done = seedtune("predict", tiny_bundle, *arguments)
    assert done.returncode == 2
    assert "remedy" in done.stderr
    assert not done.stdout
