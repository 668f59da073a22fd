"""How a run with a budget chooses what was left out: candidates, short trials of them, the choice, and the plan."""
