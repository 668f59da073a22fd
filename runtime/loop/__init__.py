"""The loop itself: steps, the state they move, and which rows each step sees."""
