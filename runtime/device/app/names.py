"""Names that the app goes by: those of its Kotlin sources, held against them by a test.

``Request.kt`` says which extras there are, ``TuningService.kt`` which actions, ``Places.kt`` which folders.
"""

from __future__ import annotations

PACKAGE = "org.seedtune.app"
SERVICE = f"{PACKAGE}/.TuningService"
ACTIVITY = f"{PACKAGE}/.MainActivity"

START = f"{PACKAGE}.START"
STOP = f"{PACKAGE}.STOP"
PAUSE = f"{PACKAGE}.PAUSE"
RESUME = f"{PACKAGE}.RESUME"

# Folders in the app's own.
BUNDLES = "bundles"
DATA = "data"
CONTEXTS = "contexts"
RUNS = "runs"
# In a run's folder: how it was asked for (RunRecord.kt).
RECORD = "app.json"

# Extra -> the option of `am` that its type takes: a string, an int, a long, a boolean.
EXTRAS = {
    "bundle": "--es",
    "train": "--es",
    "eval": "--es",
    "run": "--es",
    "steps": "--ei",
    "batch_size": "--ei",
    "estimator": "--es",
    "optimizer": "--es",
    "learning_rate": "--es",
    "momentum": "--es",
    "seed": "--es",
    "rows_per_call": "--ei",
    "only_while_charging": "--ez",
    "memory_limit": "--el",
    "threads": "--ei",
}
# The tag of its lines in logcat.
LOG_TAG = "SeedTune"

# What the app was built for: minSdk and the least processor that its runtime has a library for.
LEAST_SDK = 26
ABIS = ("arm64-v8a", "x86_64")
# Below so much free storage the app waits (PausePolicy.kt).
SPARE_STORAGE_BYTES = 64 << 20
