"""Pictures and small classifiers of them, trained here with fixed seeds, for benches of scans."""
