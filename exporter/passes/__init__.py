"""Graph rewrites over ``onnx_ir``, one per file. Each changes the graph it is given in place.

Dimension letters used in every docstring here::

    B  rows of a batch (examples)     T  tokens of the longest row, padding included
    N  B*T of one side, 2*B*T when both sides of the perturbation run together
    i  input features of a linear     o  output features of a linear     r  rank
    L  labels of the task             V  vocabulary                      n  state parameters (a multiple of 32)
"""
