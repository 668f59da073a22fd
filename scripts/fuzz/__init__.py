"""A fuzzer over everything that SeedTune reads: each mutated input must be refused clearly or read for what it says."""
