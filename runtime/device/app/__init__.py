"""seedtune.runtime.device.app: the app on the phone: its names, how it is told what to do, and whether it can."""
