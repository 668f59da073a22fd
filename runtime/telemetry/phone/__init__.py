"""seedtune.runtime.telemetry.phone: what a phone tells of a run: the app's lines, and samples from outside."""
