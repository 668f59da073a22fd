"""The page's tables are those of the kept lines, the newest of each; what people wrote around them stays."""

from __future__ import annotations

import pytest
from bench_lab import Project

from lab.results_page import BEGIN, END


def test_a_page_that_is_not_there_is_made(project: Project) -> None:
    project.call("count", "a")
    assert project.call("--page").returncode == 0
    text = project.page.read_text()
    assert text.startswith("# Benchmarks\n")
    assert text.index(BEGIN) < text.index("| `count` | how many it was given | count <= 3 |") < text.index(END)
    assert "| bench | what it measures | bar |\n|---|---|---|\n| `count` |" in text
    assert "| `fail` | nothing: it ends too early | none |" in text
    assert "### count a\n" in text
    assert "| count | 1 | <= 3 |" in text
    (line,) = project.lines("count")
    assert line["date"][:10] in text
    assert f"commit {line['commit']}" in text
    assert f"{line['machine']['processor']}, {line['machine']['cores']} cores" in text
    assert f"onnxruntime {line['versions']['onnxruntime']}" in text


def test_the_newest_line_of_each_list_of_arguments_is_shown(project: Project) -> None:
    for things in ((), ("a",), ("a", "b|c")):
        project.call("count", *things)
    lines = project.file("count").read_text()
    project.file("count").write_text(lines + lines.replace('"2", "<= 3"', '"2 anew", "<= 3"'))
    project.call("--page")
    text = project.page.read_text()
    assert [line for line in text.splitlines() if line.startswith("###")] == [
        "### count",
        "### count a",
        "### count a 'b|c'",
    ]
    assert "| count | 2 anew | <= 3 |" in text
    assert "| count | 2 | <= 3 |" not in text


def test_words_around_the_marks_stay_and_the_part_between_is_made_anew(project: Project) -> None:
    project.page.write_text(f"# Ours\n\nbefore\n\n{BEGIN}\nold part\n{END}\n\nafter\n")
    project.call("count")
    project.call("--page")
    once = project.page.read_text()
    assert once.startswith(f"# Ours\n\nbefore\n\n{BEGIN}\n")
    assert once.endswith(f"{END}\n\nafter\n")
    assert "old part" not in once
    assert "### count" in once
    project.call("--page")
    assert project.page.read_text() == once


def test_a_page_without_marks_gets_its_part_at_its_end(project: Project) -> None:
    project.page.write_text("# Ours\n\nwords\n")
    project.call("--page")
    text = project.page.read_text()
    assert text.startswith(f"# Ours\n\nwords\n\n{BEGIN}\n")
    assert text.endswith(f"{END}\n")


@pytest.mark.parametrize("marks", [BEGIN, END, f"{END}\n{BEGIN}", f"{BEGIN}\n{END}\n{BEGIN}\n{END}"])
def test_a_page_whose_marks_are_no_pair_is_left_alone(project: Project, marks: str) -> None:
    project.page.write_text(f"words\n{marks}\nwords\n")
    ran = project.call("--page")
    assert ran.returncode == 2
    assert "benchmarks.md" in ran.stderr
    assert project.page.read_text() == f"words\n{marks}\nwords\n"


def test_figures_of_a_bench_that_is_gone_are_shown_as_such(project: Project) -> None:
    project.call("count")
    project.file("count").rename(project.file("gone"))
    project.call("--page")
    assert "### gone\n\nNo longer measured." in project.page.read_text()


def test_the_page_goes_without_a_bench(project: Project) -> None:
    assert project.call("--page", "count").returncode == 2
    assert not project.page.exists()
