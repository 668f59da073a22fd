"""seedtune.runtime.device: a phone from the desk, through adb: its files, the app on it, and what a run there tells."""
