"""What `bench/step.py` compares: each contender is a process of its own that makes one step when it is told to."""
