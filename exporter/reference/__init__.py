"""The export's own oracle: transformers' forward pass, plain and perturbed, over weights as they are stored."""
