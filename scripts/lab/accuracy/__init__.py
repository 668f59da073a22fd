"""Which method reaches which held-out accuracy: tasks, methods behind one protocol, results that survive a stop."""
