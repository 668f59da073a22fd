"""How a run finds its steps: along noise, or along exact gradients."""
