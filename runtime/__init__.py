"""seedtune.runtime: everything that needs no torch, from reading a bundle to the finished run."""
