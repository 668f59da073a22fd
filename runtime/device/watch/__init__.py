"""seedtune.runtime.device.watch: a run on the phone, followed from the desk as if it were made here."""
