"""seedtune.runtime.device.adb: the adb program, the phones that it sees, and commands on one of them."""
