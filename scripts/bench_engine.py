"""python scripts/bench_engine.py [BUNDLE] [--steps 6] [--rounds 2]: the Kotlin engine on the JVM against Python.

The same run, in turns, each in a process of its own with the same threads: time of a step (probe and update, median),
and peak RssAnon of the process, both seen from outside. Journals must be equal to the byte. BUNDLE is SmolLM2-135M for
the sentiment task unless given. Needs JDK 17 and Maven. Bars: at most 1.05 times Python's time, and its memory + 60 MB.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import bench_support
import demo_data
from bench_report import megabytes
from process_memory import Watch

ENGINE = Path(__file__).parents[1] / "android_app"
MAIN = "org.seedtune.engine.TuneProcessKt"
CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
# Steps at the beginning of each process that warm up compiler and caches.
WARM_UP = 2


@dataclass
class Runner:
    """One of the two, and what its turns took."""

    name: str
    milliseconds: list[float] = field(default_factory=list)
    peak_bytes: int = 0


def main() -> None:
    """Measures and reports."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle", nargs="?", type=Path, metavar="BUNDLE")
    parser.add_argument("--steps", type=int, default=6, help="of each turn, two of them to warm up")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    options = parser.parse_args()
    bundle = options.bundle or bench_support.bundle().path
    train = demo_data.main(bench_support.OUTPUT / "data")["train"]
    java = [*engine(), f"bundle={bundle}", f"train={train}", f"threads={options.threads}"]
    python = [str(Path(sys.executable).with_name("seedtune")), "run", str(bundle), "--train", str(train)]
    python += ["--threads", str(options.threads), "--json"]
    settings = {"steps": options.steps, "batch-size": options.batch_size}
    runners = Runner("Python"), Runner("JVM")
    for turn in range(options.rounds):
        folders = [bench_support.OUTPUT / f"engine-{runner.name}" for runner in runners]
        for folder in folders:
            shutil.rmtree(folder, ignore_errors=True)
        given = [part for name, value in settings.items() for part in (f"--{name}", str(value))]
        watch(runners[0], [*python, *given, "--out", str(folders[0])], folders[0])
        given = [f"{name.replace('-', '_')}={value}" for name, value in settings.items()]
        watch(runners[1], [*java, *given, f"run={folders[1]}"], folders[1])
        if (folders[0] / "journal.bin").read_bytes() != (folders[1] / "journal.bin").read_bytes():
            sys.exit(f"the journals of turn {turn + 1} differ")
    report(bundle, *runners)


def engine() -> list[str]:
    """Compiles the engine; the start of a command line that runs it."""
    maven = ["mvn", "-B", "-q", "-f", str(ENGINE / "pom.xml"), "-pl", "engine"]
    listed = (bench_support.OUTPUT / "classpath").resolve()
    for goals in (["test-compile"], [CLASSPATH, f"-Dmdep.outputFile={listed}"]):
        subprocess.run([*maven, *goals], check=True)
    target = ENGINE / "engine" / "target"
    paths = [str(target / "classes"), str(target / "test-classes"), listed.read_text().strip()]
    # A small heap and one compiler, or the JVM takes 70 MB more for garbage and code.
    flags = ["-Xmx96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"]
    return ["java", *flags, "-cp", os.pathsep.join(paths), MAIN]


def watch(runner: Runner, command: list[str], folder: Path) -> None:
    """One turn."""
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    with Watch(process.pid) as watched:
        if process.wait():
            sys.exit(f"{runner.name} failed")
    steps = [json.loads(line) for line in (folder / "steps.jsonl").read_text().splitlines()]
    runner.milliseconds += [step["probe_ms"] + step["update_ms"] for step in steps[WARM_UP:]]
    runner.peak_bytes = max(runner.peak_bytes, watched.peak["RssAnon"])


def report(bundle: Path, python: Runner, jvm: Runner) -> None:
    """Prints the table and the line of JSON."""
    medians = {runner.name: statistics.median(runner.milliseconds) for runner in (python, jvm)}
    ratio = medians["JVM"] / medians["Python"]
    more = jvm.peak_bytes - python.peak_bytes
    bench_support.report(
        f"{bundle}: the same run by both, equal journals",
        [
            ("a step, Python", f"{medians['Python']:,.0f} ms", ""),
            ("a step, JVM", f"{medians['JVM']:,.0f} ms, {ratio:.3f} times", "<= 1.05 times"),
            ("peak RssAnon, Python", megabytes(python.peak_bytes), ""),
            ("peak RssAnon, JVM", f"{megabytes(jvm.peak_bytes)}, {more / 1e6:+,.0f} MB", "<= +60 MB"),
        ],
        {
            "bundle": str(bundle),
            "milliseconds": {runner.name: runner.milliseconds for runner in (python, jvm)},
            "ratio": ratio,
            "rss_anon_peak_bytes": {runner.name: runner.peak_bytes for runner in (python, jvm)},
        },
    )


if __name__ == "__main__":
    main()
