"""Programs of the APK on this machine: `python scripts/android --help`."""
