"""Contrastive embeddings of a graph's nodes, repaired for class collision and for the imbalance of negatives.

A reconstruction from the abstract of a work whose text was not to be had, over GRACE (Zhu et al. 2020,
arXiv:2006.04131). Letters: N nodes, E edges, F columns of the input, H hidden, d dimensions of an embedding, M
negatives of a step.
"""
