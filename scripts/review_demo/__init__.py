"""The demo on movie reviews: `./scripts/demo` runs it; benches take their rows from `reviews.py` too."""
