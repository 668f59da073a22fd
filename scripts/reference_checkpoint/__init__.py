"""Checkpoint folders of the full size of well-known models, with seeded random weights.

They hold what the Hugging Face hub serves for the model, file by file: names, sizes, types, formats, kind of tokenizer.
Only the values are made up. So everything that depends on size (memory, time, formats) can be measured and tested where
the hub cannot be reached. Nothing here knows of bundles or tasks.
"""
