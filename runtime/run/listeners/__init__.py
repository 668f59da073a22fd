"""What listens to a run: its log, its result, and whether its storage is slow."""
