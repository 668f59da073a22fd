"""A graph cut into stages, so that the weights of one stage at a time have to be in memory."""
