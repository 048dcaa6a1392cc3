"""The kinds of pools: a length, and samples by index."""
