"""Where a run starts: a head over frozen hidden states, solved for in closed form, and the file that keeps it."""
