"""Asymmetric adversarial training: robust and non-robust features of pictures, kept in separate heads.

A reconstruction from the abstract of a work whose text was not to be had, over adversarial training by PGD (Madry et
al. 2018, arXiv:1706.06083). Letters: B pictures of a step, C classes, d_r and d_n dimensions of the two heads.
"""
