"""seedtune.runtime.telemetry.phone: what a phone tells of a run: the app's own lines, and samples taken from outside."""
