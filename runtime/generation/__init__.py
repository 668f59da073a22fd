"""Text that a bundle's model goes on with: the decode graph and its cache, how a token is chosen, where text ends."""
