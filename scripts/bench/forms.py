"""python scripts/bench forms [KEY ...]: what forms of tiny models say beside transformers.

Tiny models of many families are exported in scope ``all`` in float32 with a random state. The adapter for PEFT, the
merged checkpoint and the ONNX model of each say how their logits differ from transformers' model with the same change
of weights. Greedy text of random prompts is compared token by token with transformers' ``generate``.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from families.architectures import architectures
from lab.forms import FORMS, Found, compare
from lab.report import command_line, report
from seedtune.exporter.checkpoint.quiet import quiet

WHAT = "what forms of tiny models say beside transformers"
BAR = {
    "logits, relative": "<= 1e-4",
    "greedy texts identical": "all",
}
LOGITS = "logits, relative"
KEYS = (
    *(f"causal:{name}" for name in ("llama", "mistral", "qwen2", "qwen3", "gemma", "gemma2", "phi", "phi3")),
    *(f"causal:{name}" for name in ("opt", "gpt2", "gpt_neox", "bloom", "falcon", "starcoder2", "smollm3", "olmo2")),
    *(f"masked:{name}" for name in ("bert", "roberta", "distilbert", "electra", "modernbert")),
)


def main() -> None:
    """Compares and reports."""
    parser = command_line(__file__, __doc__, BAR)
    parser.add_argument(
        "keys", nargs="*", metavar="KEY", help="such as causal:llama, as `python scripts/families` says"
    )
    parser.add_argument("--prompts", type=int, default=100)
    parser.add_argument("--tokens", type=int, default=50)
    arguments = parser.parse_args()
    known = {each.key: each for each in architectures()}
    if unknown := set(arguments.keys) - known.keys():
        parser.error(f"no such architecture: {', '.join(sorted(unknown))}")
    found = []
    for key in arguments.keys or KEYS:
        with tempfile.TemporaryDirectory() as folder, quiet():
            found.append(compare(known[key], Path(folder), arguments.prompts, arguments.tokens))
        print(key, found[-1], flush=True)
    show(found)


def show(found: list[Found]) -> None:
    """The table by family, and the last line."""
    rows = [
        [
            each.key,
            *(f"{each.differences[form]:.1e}" if form in each.differences else "refused" for form in FORMS),
            f"{each.same} of {each.texts}" if each.texts else "-",
        ]
        for each in found
    ]
    worst = {form: max((each.differences.get(form, 0.0) for each in found), default=0.0) for form in FORMS}
    same, texts = sum(each.same for each in found), sum(each.texts for each in found)
    figures = [
        *((f"{form}: {LOGITS}, the worst of {len(found)}", f"{worst[form]:.1e}", BAR[LOGITS]) for form in FORMS),
        ("greedy texts identical", f"{same:,} of {texts:,}", BAR["greedy texts identical"]),
    ]
    of_families = {
        each.key: each.differences | {"refusals": each.refusals, "moved": each.moved, "same": each.same}
        for each in found
    }
    result = {"families": of_families, "worst": worst, "same": same, "texts": texts}
    report("What was tuned, in other forms", rows, result, ("family", *FORMS, "greedy texts"), figures)


if __name__ == "__main__":
    main()
