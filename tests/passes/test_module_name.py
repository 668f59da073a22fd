"""What a linear is called, from the name of its weight."""

from __future__ import annotations

from seedtune.exporter.passes.linear_layout import module_name


def test_module_name_drops_the_last_weight_only() -> None:
    assert module_name("layers.0.weight.up_proj.weight") == "layers.0.weight.up_proj"
    assert module_name("layers.0.table") == "layers.0.table"
