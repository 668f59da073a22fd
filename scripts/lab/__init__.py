"""What benches, contenders and tests share: processes under a memory cap and watched from outside, rows, reports.

Knows nothing of a single bench. Modules that run beside a command under a cap import neither ONNX Runtime nor numpy.
"""
