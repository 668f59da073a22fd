"""What a phone adds to a RUN folder: the app's lines, samples from outside over two starts, and its name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

BOOTS = ("0a1b2c3d-0000-4000-8000-000000000001", "0a1b2c3d-0000-4000-8000-000000000002")
MEMINFO = """** MEMINFO in pid 1 [org.seedtune.app] **
                   Pss  Private  Private  SwapPss      Rss     Heap     Heap     Heap
                 Total    Dirty    Clean    Dirty    Total     Size    Alloc     Free
        TOTAL   {pss}   157552   302404      986   525620   187268   155384    31883
"""


def add_phone(folder: Path, model: str = "Stand-in 8", scale: float = 1.0) -> Path:
    """Adds 40 lines of the app, ten a process and the phone restarted after the twentieth, and samples beside them."""
    lines: list[dict[str, Any]] = []
    outside: list[dict[str, Any]] = []
    for number in range(40):
        boot = number // 20
        nanos = (1000 if boot == 0 else 30) * 10**9 + (number % 20) * 10**9
        lines.append(
            {
                "sequence": number % 10,
                "elapsed_realtime_nanos": nanos,
                "pss_bytes": int(scale * (400e6 + 1e6 * number)),
                "rss_anon_bytes": int(scale * (150e6 + (40e6 if number == 17 else 0))),
                "rss_file_bytes": 290_000_000,
                "vm_hwm_bytes": int(scale * 560e6),
                "thermal_status": 2 if number > 30 else 0,
                "battery_percent": 80,
                "battery_joules": 3.5 * number,
                "processor_kilohertz": [1800000, None],
            }
        )
        if number % 5 == 0:
            texts = {
                "meminfo": MEMINFO.format(pss=int(scale * (400_000 + 1000 * number))),
                "thermal": f"Thermal Status: 0\nTemperature{{mValue={33 + number / 10}, mType=3, mName=s, mStatus=0}}",
                "battery": "  level: 80\n  scale: 100\n  temperature: 312\n",
            }
            for source, text in texts.items():
                sample = {"boot": BOOTS[boot], "elapsed_realtime_nanos": nanos + 10**8, "source": source, "text": text}
                outside.append({"sequence": len(outside)} | sample)
    for name, records in (("telemetry-000001.jsonl", lines), ("outside.jsonl", outside)):
        (folder / name).write_text("".join(json.dumps(record) + "\n" for record in records))
    info = {"manufacturer": "SeedTune", "model": model, "android": "14", "sdk": 34, "abis": ["arm64-v8a"]}
    (folder / "phone.json").write_text(json.dumps(info | {"memory_bytes": 8_000_000_000, "app_version": "0.1.0"}))
    return folder
