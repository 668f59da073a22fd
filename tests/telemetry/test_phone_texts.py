"""Numbers from what phones print: by the names of columns, on five versions of Android, None from anything else."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from phone_samples import BATTERY, MEMINFO, SWAPS, THERMAL, ZRAM

from seedtune.runtime.telemetry.phone.dumpsys import parse_battery, parse_meminfo, parse_thermal
from seedtune.runtime.telemetry.phone.proc import parse_zram, sizes, swap_used_bytes, uptime_nanos
from seedtune.runtime.telemetry.phone.sequence import Gap, continuity

KIBIBYTE = 1024


@pytest.mark.parametrize(
    ("version", "pss", "rss", "swap"),
    [(8, 480644, None, 1000), (10, 462566, None, 986), (12, 462566, 525620, 986), (15, 462566, 525620, 986)],
)
def test_meminfo_is_read_by_the_names_of_its_columns(version: int, pss: int, rss: int | None, swap: int) -> None:
    found = parse_meminfo(MEMINFO[version])
    assert found is not None
    assert found.pss_bytes == pss * KIBIBYTE
    assert found.rss_bytes == (None if rss is None else rss * KIBIBYTE)
    assert found.swap_pss_bytes == swap * KIBIBYTE
    assert found.kinds["Native Heap"]["Private Dirty"] == 151160 * KIBIBYTE
    assert found.kinds["Native Heap"]["Heap Alloc"] == 149876 * KIBIBYTE


def test_swap_of_a_kernel_that_does_not_share_it_out_is_no_swap_pss() -> None:
    found = parse_meminfo(MEMINFO[14])
    assert found is not None
    assert found.swap_pss_bytes is None
    assert found.total("Swap Dirty") == 986 * KIBIBYTE


def test_the_rows_add_up_to_the_total() -> None:
    # The sample of version 8 is whole; the others are cut, as their rows are the same.
    found = parse_meminfo(MEMINFO[8])
    assert found is not None
    for column in ("Private Dirty", "Private Clean", "SwapPss Dirty"):
        rows = sum(row.get(column, 0) for kind, row in found.kinds.items() if kind != "TOTAL")
        assert rows == found.kinds["TOTAL"][column], column


def test_battery_and_heat() -> None:
    charging, empty = parse_battery(BATTERY[8]), parse_battery(BATTERY[15])
    assert (charging.percent, charging.celsius, charging.volts, charging.charging) == (81, 31.2, 4.123, True)
    assert (empty.percent, empty.celsius, empty.charging) == (64, 40.5, False)
    assert [(parse_thermal(THERMAL[v]).status, parse_thermal(THERMAL[v]).skin_celsius) for v in (8, 10, 15)] == [
        (None, None),
        (2, 40.9),
        (0, 33.5),
    ]


def test_proc_and_sys() -> None:
    status = "Name:\torg.seedtune.app\nVmHWM:\t  525620 kB\nRssAnon:\t  151204 kB\nVmSwap:\t     986 kB\nThreads:\t17\n"
    assert sizes(status) == {"VmHWM": 525620 * KIBIBYTE, "RssAnon": 151204 * KIBIBYTE, "VmSwap": 986 * KIBIBYTE}
    assert swap_used_bytes(SWAPS) == 812340 * KIBIBYTE
    assert swap_used_bytes("Filename Type Size Used Priority\n") == 0
    assert swap_used_bytes("cat: /proc/swaps: Permission denied") is None
    zram = parse_zram(ZRAM)
    assert zram is not None
    assert (zram.stored_bytes, zram.memory_bytes) == (821313536, 251875328)
    assert parse_zram("cat: /sys/block/zram0/mm_stat: Permission denied") is None
    assert uptime_nanos("9123.45 1000.00\n") == 9_123_450_000_000
    assert uptime_nanos("") is None


@given(st.text(max_size=300) | st.sampled_from([*MEMINFO.values(), *BATTERY.values(), *THERMAL.values()]), st.data())
def test_any_text_is_read_without_an_error(text: str, data: st.DataObject) -> None:
    cut = data.draw(st.integers(0, len(text)))
    for piece in (text[:cut], text[cut:], text[:cut] + "\x1b\x00" + text[cut:]):
        parse_meminfo(piece)
        parse_battery(piece)
        parse_thermal(piece)
        sizes(piece)
        swap_used_bytes(piece)
        parse_zram(piece)
        uptime_nanos(piece)


def test_numbers_of_lines_prove_that_none_is_missing_and_none_doubled() -> None:
    assert (continuity(range(5)).missing, continuity(range(5)).doubled) == (0, 0)
    found = continuity([0, 1, 4, 4, 5, 0, 1, 3])
    assert found.gaps == (Gap(1, 2, 3), Gap(2, 2, 2))
    assert (found.lines, found.processes, found.missing, found.doubled) == (8, 2, 3, 1)
    # A log whose beginning is missing has a gap before its first line.
    assert continuity([3, 4]).gaps == (Gap(1, 0, 2),)


@given(st.lists(st.integers(1, 30), min_size=1, max_size=4), st.data())
def test_any_lines_taken_out_are_counted(lengths: list[int], data: st.DataObject) -> None:
    numbers = [number for length in lengths for number in range(length)]
    kept, lost = [], 0
    for place, number in enumerate(numbers):
        # The first and the last line of a process stay: without them nobody can know that there were more.
        ends = number == 0 or place + 1 == len(numbers) or numbers[place + 1] == 0
        if ends or data.draw(st.booleans()):
            kept.append(number)
        else:
            lost += 1
    found = continuity(kept)
    assert (found.missing, found.doubled, found.processes) == (lost, 0, len(lengths))
