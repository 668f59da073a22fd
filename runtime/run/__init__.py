"""A run on disk: its settings, its folder, and the driver that joins them to the loop."""
