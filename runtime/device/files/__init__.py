"""seedtune.runtime.device.files: files to the phone and from it, never twice, never half, always as they were."""
