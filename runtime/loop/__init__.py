"""The loop itself: steps, and the state they move."""
