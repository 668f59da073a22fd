"""The sweep over model families: every architecture that transformers has a language-model head for, made tiny.

Each is exported in both scopes and several storages, tuned for two steps, and evaluated against transformers alone, one
row at a time and without padding. What comes of it is right, or refused with its reason; anything else is a defect.
"""
