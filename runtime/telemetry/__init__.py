"""seedtune.runtime.telemetry: what a run tells of itself, in memory, in files and on the terminal."""
