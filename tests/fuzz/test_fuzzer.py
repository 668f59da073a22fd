"""The fuzzer itself: it finds every kind of fault, goes on behind each, and makes the same inputs wherever it runs."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from fuzz.catalogue import TARGETS, shares
from fuzz.targets.faulty import EXPECTED
from fuzz.watch import fuzz
from lab.module_process import module_environment

ROOT = Path(__file__).parents[2]
DIGESTS = """
import hashlib, pathlib, sys
from fuzz.catalogue import target_class
target = target_class(sys.argv[1])(pathlib.Path(sys.argv[2]))
for seed in range(40):
    print(hashlib.sha256(repr(sorted(target.mutated_by(seed).items())).encode()).hexdigest())
"""


def test_every_kind_of_fault_is_found_and_does_not_end_the_search() -> None:
    tally = fuzz("faulty", 0, len(EXPECTED))
    found = {failure["seed"]: failure["verdict"] for failure in tally.failures}
    expected = {seed: verdict for seed, verdict in enumerate(EXPECTED) if verdict not in ("accepted", "refused")}
    assert found == expected
    assert (tally.inputs, tally.accepted, tally.refused) == (len(EXPECTED), 2, 1)


def test_a_failure_is_told_with_the_command_that_reads_its_input_again(tmp_path: Path) -> None:
    command = [sys.executable, "scripts/fuzz", "--target", "faulty", "--inputs", "1", "--first", "4"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "again: python scripts/fuzz --target faulty --seed 4" in done.stderr
    assert json.loads(done.stdout.splitlines()[-1])["targets"]["faulty"]["failed_seeds"] == [4]
    again = [sys.executable, "scripts/fuzz", "--target", "faulty", "--seed", "4"]
    done = subprocess.run(again, cwd=ROOT, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 1
    assert "IndexError" in done.stderr
    assert json.loads(done.stdout)["verdict"] == "traceback"


def test_an_input_follows_from_its_target_and_seed(tmp_path: Path) -> None:
    for name in ("journal", "manifest", "tokenizer", "task"):
        found = set()
        for place, hash_seed in enumerate(("1", "2")):
            folder = tmp_path / f"{name}{place}"
            folder.mkdir()
            environment = module_environment() | {"PYTHONHASHSEED": hash_seed}
            command = [sys.executable, "-c", DIGESTS, name, str(folder)]
            done = subprocess.run(command, capture_output=True, text=True, env=environment, check=True, timeout=120)
            found.add(done.stdout)
            assert len(set(done.stdout.split())) > 35
        assert len(found) == 1, name


def test_shares_add_up_to_what_is_asked_for() -> None:
    usual = [name for name, entry in TARGETS.items() if entry.share]
    assert sum(TARGETS[name].share for name in usual) == 100_000
    assert sum(shares(usual, 100_000).values()) == 100_000
    assert min(shares(usual, 10).values()) == 1
