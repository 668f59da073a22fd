"""What is refused, and what is read, with folders in the place of a cgroup filesystem."""

from __future__ import annotations

from pathlib import Path

import pytest

from lab import memory_cgroup
from lab.memory_cgroup import VERSION_1, VERSION_2, CapError, Interface, MemoryCgroup


@pytest.mark.parametrize("interface", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_a_folder_that_is_no_cgroup_is_refused(tmp_path: Path, interface: Interface) -> None:
    with pytest.raises(CapError, match=interface.limit), MemoryCgroup(1 << 20, [(tmp_path, interface)]):
        pass
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


def test_a_place_where_nothing_can_be_made_is_refused_with_its_name() -> None:
    place = Path("/proc/sys")
    with (
        pytest.raises(CapError, match=r"/proc/sys: .*\n.*remedy: run as root"),
        MemoryCgroup(1 << 20, [(place, VERSION_2)]),
    ):
        pass


def test_a_machine_without_a_memory_controller_is_refused() -> None:
    with pytest.raises(CapError, match="no cgroup hierarchy"), MemoryCgroup(1 << 20, []):
        pass


@pytest.mark.parametrize("interface", [VERSION_1, VERSION_2], ids=["version 1", "version 2"])
def test_a_limit_that_does_not_take_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, interface: Interface
) -> None:
    make = Path.mkdir

    def with_limit_elsewhere(path: Path) -> None:
        make(path)
        (path / interface.limit).symlink_to("/dev/null")

    monkeypatch.setattr(Path, "mkdir", with_limit_elsewhere)
    with pytest.raises(CapError, match=f"{interface.limit} is  after"), MemoryCgroup(1 << 20, [(tmp_path, interface)]):
        pass


def test_figures_of_version_1(tmp_path: Path) -> None:
    files = {
        "memory.max_usage_in_bytes": "4096\n",
        "memory.failcnt": "7\n",
        "memory.memsw.failcnt": "3\n",
        "memory.oom_control": "oom_kill_disable 0\nunder_oom 0\noom_kill 2\n",
        "memory.stat": "cache 0\npgfault 90\npgmajfault 5\nworkingset_refault_file 8\n",
    }
    assert figures(tmp_path, VERSION_1, files) == (4096, 10, 2, 5, 8)


def test_figures_of_version_2(tmp_path: Path) -> None:
    files = {
        "memory.peak": "8192\n",
        "memory.events": "low 0\nhigh 0\nmax 9\noom 4\noom_kill 3\noom_group_kill 0\n",
        "memory.stat": "anon 0\npgfault 90\npgmajfault 6\n",
    }
    assert figures(tmp_path, VERSION_2, files) == (8192, 9, 3, 6, 0)


def test_what_a_kernel_does_not_keep_is_none(tmp_path: Path) -> None:
    assert figures(tmp_path, VERSION_2, {})[0] is None
    assert figures(tmp_path, VERSION_1, {"memory.failcnt": "0\n"})[1] is None
    assert figures(tmp_path, VERSION_2, {"memory.events": "max 0\n"})[1] == 0


def test_hierarchies_are_found_where_they_are_mounted(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    unified = tmp_path / "unified"
    unified.mkdir()
    (unified / "cgroup.controllers").write_text("cpu memory pids\n")
    files = {
        "/proc/self/mountinfo": [
            "24 1 0:21 / /proc rw,nosuid - proc proc rw",
            "30 24 0:26 / /groups/cpu rw,relatime shared:9 - cgroup cgroup rw,cpu",
            "31 24 0:27 / /groups/memory rw,relatime - cgroup cgroup rw,memory",
            f"32 24 0:28 / {unified} rw,relatime - cgroup2 cgroup2 rw",
        ],
        "/proc/self/cgroup": ["4:memory:/outer/inner/own", "0::/"],
    }
    read = memory_cgroup._lines
    monkeypatch.setattr(memory_cgroup, "_lines", lambda path: files.get(path) or read(path))
    assert memory_cgroup.possible_parents() == [
        (Path("/groups/memory"), VERSION_1),
        (Path("/groups/memory/outer/inner"), VERSION_1),
        (unified, VERSION_2),
    ]


def figures(folder: Path, interface: Interface, files: dict[str, str]) -> tuple[int | None, int | None, int, int, int]:
    """Peak, limit hits, kills, major faults and refaulted pages of a group whose files are ``files``."""
    for name, text in files.items():
        (folder / name).write_text(text)
    group = MemoryCgroup(None)
    group.path, group.interface = folder, interface
    return group.peak_bytes(), group.limit_hits(), group.kills(), group.major_faults(), group.refaulted_pages()
