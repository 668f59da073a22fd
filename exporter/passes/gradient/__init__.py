"""Reverse-mode differentiation of a graph by rewriting it: the gradient is more nodes of ordinary forward operators.

One file per group of operators holds their rules, `rules.py` joins them, `differentiate.py` walks the nodes between
what is trained and the loss. Only what leads to the trained value is differentiated: no gradient of a frozen weight or
of a cached key is ever computed. (Baydin et al. 2018, arXiv 1502.05767, section 3.2: reverse accumulation.)
"""
