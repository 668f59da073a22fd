"""The Kotlin engine on the JVM as a command that takes the options of ``seedtune run``."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

ENGINE = Path(__file__).parents[2] / "android_app"
MAIN = "org.seedtune.engine.TuneProcessKt"
CLASSPATH = "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:build-classpath"
# A small heap and one compiler, or the JVM takes 70 MB more for garbage and code. Buffers outside the heap are bounded
# by the memory limit, not by the size of the heap.
FLAGS = ("-Xmx48m", "-XX:MaxDirectMemorySize=8g", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")

# One heap of the C library for all threads: each further one keeps what was freed in it.
ENVIRONMENT = {"MALLOC_ARENA_MAX": "1"}


def engine_command(folder: Path) -> list[str]:
    """Compiles the engine; the start of a command line that runs it.

    Args:
        folder: where the list of its libraries is put.

    Raises:
        subprocess.CalledProcessError: Maven failed, and said why.
    """
    folder.mkdir(parents=True, exist_ok=True)
    maven = ["mvn", "-B", "-q", "-f", str(ENGINE / "pom.xml"), "-pl", "engine"]
    listed = (folder / "classpath").resolve()
    for goals in (["test-compile"], [CLASSPATH, f"-Dmdep.outputFile={listed}"]):
        subprocess.run([*maven, *goals], check=True)
    target = ENGINE / "engine" / "target"
    paths = [str(target / "classes"), str(target / "test-classes"), listed.read_text().strip()]
    environment = [f"{name}={value}" for name, value in ENVIRONMENT.items()]
    return ["env", *environment, "java", *FLAGS, "-cp", os.pathsep.join(paths), MAIN]
