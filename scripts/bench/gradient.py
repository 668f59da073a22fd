"""python scripts/bench gradient [--storage fp32 int8 int4]: projected gradients against PyTorch's autograd.

For 64 seeds: (L+ - L-) / (2 epsilon) from the probe graph against <dL/dB, Z>, where dL/dB comes from autograd on
transformers' model in float32 with the same low-rank terms as forward hooks. Float32 bundles at epsilon 1e-3. Other
storages at the default epsilon, against two models: the one whose weights are what the bundle stores (is the estimate
right for the model that is tuned?) and the untouched one (is the rounded model another one?).
"""

from __future__ import annotations

import numpy as np
import torch

from lab import smollm2
from lab.report import command_line, report
from seedtune.exporter.checkpoint import open_checkpoint
from seedtune.exporter.storage.encodings import SCALE, Encoding, Kind, decoded
from seedtune.runtime.bundle.low_rank import lora_a_values
from seedtune.runtime.bundle.manifest import Manifest, Storage
from seedtune.runtime.bundle.reader import Bundle
from seedtune.runtime.estimators.two_sided import TwoSidedSettings
from seedtune.runtime.graphs.session import open_session
from seedtune.runtime.noise import rademacher
from seedtune.runtime.stages.tensors import ELEMENT_TYPES, read_header

WHAT = "projected gradients against PyTorch's autograd"
BAR = {
    "Pearson's correlation, fp32": ">= 0.999",
    "Pearson's correlation, other storages": ">= 0.97",
    "slope": "1",
}

BATCH, TOKENS, SEEDS = 8, 40, 64
EXACT_EPSILON = 1e-3
STATE_SCALE = 1e-2
# Element type of a stored matrix -> how it was encoded; int4 packs two values into a byte.
STORED_AS: dict[str, Kind] = {"F16": "fp16", "BF16": "bf16", "I8": "int8", "U8": "int4"}
KINDS = {ELEMENT_TYPES[name][0]: kind for name, kind in STORED_AS.items()}


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--storage", nargs="+", default=["fp32"], choices=["fp32", "fp16", "bf16", "int8", "int4"])
    rows, result = [], {}
    for storage in parser.parse_args().storage:
        epsilon = EXACT_EPSILON if storage == "fp32" else TwoSidedSettings().epsilon
        result[storage] = found = measure(storage, epsilon)
        bar = BAR[f"Pearson's correlation, {'fp32' if storage == 'fp32' else 'other storages'}"]
        rows.append((f"{storage}, epsilon {epsilon:g}: correlation, model as stored", f"{found['stored']:.6f}", bar))
        rows.append((f"{storage}: slope", f"{found['slope']:.4f}", BAR["slope"]))
        rows.append((f"{storage}: correlation, untouched model", f"{found['untouched']:.6f}", ""))
    title = f"SmolLM2-135M, {SEEDS} seeds, {BATCH} x {TOKENS} tokens of reviews: projected gradient against autograd"
    report(title, rows, {"seeds": SEEDS, "batch": BATCH, "tokens": TOKENS, "storages": result})


def measure(storage: Storage, epsilon: float) -> dict[str, float]:
    """Correlation with the gradient of the model as stored, its slope, and correlation with the untouched model's."""
    bundle = Bundle.open(smollm2.exported(storage=storage))
    rows = smollm2.review_rows(bundle, BATCH, TOKENS)
    n = bundle.manifest.state.parameters
    state = (STATE_SCALE * np.random.default_rng(1).standard_normal(n)).astype(np.float32)
    model = open_checkpoint(smollm2.SOURCE).reference()
    untouched = autograd(model, bundle.manifest, rows, state)
    model = open_checkpoint(smollm2.SOURCE).reference()
    store_as(bundle, model)
    stored = autograd(model, bundle.manifest, rows, state)
    probe = open_session(bundle.graph_path("probe"))
    estimated = []
    for seed in range(1, SEEDS + 1):
        feeds = rows | {
            "state": state,
            "seed": np.array([seed], np.int64),
            "epsilon": np.array([epsilon], np.float32),
        }
        plus, minus = probe.run(["loss_plus", "loss_minus"], feeds)
        estimated.append((plus.mean(dtype=np.float64) - minus.mean(dtype=np.float64)) / (2 * epsilon))
    noise = [rademacher(seed, n).astype(np.float64) for seed in range(1, SEEDS + 1)]
    exact = {"stored": [stored @ z for z in noise], "untouched": [untouched @ z for z in noise]}
    found = {name: float(np.corrcoef(estimated, values)[0, 1]) for name, values in exact.items()}
    return found | {"slope": float(np.polyfit(exact["stored"], estimated, 1)[0])}


def store_as(bundle: Bundle, model: torch.nn.Module) -> None:
    """Gives ``model`` the weights that ``bundle`` stores, widened to float32."""
    tensors = read_header(bundle.weights_path)
    for name, parameter in model.named_parameters():
        kind = KINDS.get(tensors[name].element_type)
        if kind is None:
            continue
        scale = tensors.get(name + SCALE)
        axis = 0 if scale is None or scale.shape[0] == parameter.shape[0] else 1
        parameter.data = torch.from_numpy(decoded(Encoding(kind, axis), parameter.data))


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
    scores = logits[:, -1, list(manifest.language_model.label_word_ids)]
    torch.nn.functional.cross_entropy(scores, torch.from_numpy(rows["label"])).backward()
    flat = np.zeros(manifest.state.parameters)
    for target in manifest.state.targets:
        gradient = trained[target.name].grad
        assert gradient is not None
        flat[target.offset : target.offset + gradient.numel()] = gradient.double().reshape(-1).numpy()
    return flat


if __name__ == "__main__":
    main()
