"""python scripts/bench_gradient.py: projected gradient against PyTorch autograd's directional derivative.

For 64 seeds: (L+ - L-) / (2 epsilon) from the probe graph, float32, epsilon 1e-3, against <dL/dB, Z> where dL/dB comes
from autograd on transformers' model with the same low-rank terms as forward hooks. Bar: Pearson correlation >= 0.999.
"""

from __future__ import annotations

import bench_support
import numpy as np
import torch

from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.targets import lora_a_values
from seedtune.runtime.bundle.manifest import Manifest
from seedtune.runtime.noise import rademacher

BATCH, TOKENS, SEEDS, EPSILON = 8, 24, 64, 1e-3
STATE_SCALE = 1e-2


def main() -> None:
    """Measures and reports."""
    bundle = bench_support.bundle()
    manifest = bundle.manifest
    rows = bench_support.random_rows(bundle, BATCH, TOKENS)
    n = manifest.state.parameters
    state = (STATE_SCALE * np.random.default_rng(1).standard_normal(n)).astype(np.float32)
    gradient = autograd(open_checkpoint(bench_support.SOURCE).reference(), manifest, rows, state)
    probe = bundle.session("probe")
    estimated, exact = [], []
    for seed in range(1, SEEDS + 1):
        feeds = rows | {
            "state": state,
            "seed": np.array([seed], np.int64),
            "epsilon": np.array([EPSILON], np.float32),
        }
        plus, minus = probe.run(["loss_plus", "loss_minus"], feeds)
        estimated.append((plus.mean(dtype=np.float64) - minus.mean(dtype=np.float64)) / (2 * EPSILON))
        exact.append(float(gradient @ rademacher(seed, n).astype(np.float64)))
    correlation = float(np.corrcoef(estimated, exact)[0, 1])
    slope = float(np.polyfit(exact, estimated, 1)[0])
    bench_support.report(
        f"Projected gradient of SmolLM2-135M, {SEEDS} seeds, epsilon {EPSILON}, float32",
        [
            ("Pearson correlation with autograd", f"{correlation:.6f}", ">= 0.999"),
            ("slope", f"{slope:.4f}", "1"),
        ],
        {"correlation": correlation, "slope": slope, "seeds": SEEDS, "epsilon": EPSILON},
    )


def autograd(model: torch.nn.Module, manifest: Manifest, rows: dict[str, np.ndarray], state: np.ndarray) -> np.ndarray:
    """dL/dB as a flat vector in the layout of the state, [n] float64."""
    lora_a = lora_a_values(manifest.state)
    trained = {}
    for target in manifest.state.targets:
        size = target.out_features * target.rank
        part = state[target.offset : target.offset + size].reshape(target.out_features, target.rank)
        b = torch.from_numpy(part.copy()).requires_grad_(True)
        a = torch.from_numpy(lora_a[target.lora_a])
        trained[target.name] = b
        model.get_submodule(target.name).register_forward_hook(
            lambda _layer, inputs, output, a=a, b=b: output + inputs[0] @ a.T @ b.T
        )
    logits = model(
        input_ids=torch.from_numpy(rows["ids"]),
        attention_mask=torch.from_numpy(rows["mask"]),
        logits_to_keep=1,
    ).logits
    scores = logits[:, -1, list(manifest.label_word_ids)]
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(rows["label"])).backward()
    flat = np.zeros(manifest.state.parameters)
    for target in manifest.state.targets:
        gradient = trained[target.name].grad
        assert gradient is not None
        flat[target.offset : target.offset + gradient.numel()] = gradient.double().reshape(-1).numpy()
    return flat


if __name__ == "__main__":
    main()
