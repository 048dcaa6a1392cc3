"""What ``asv`` follows over the commits: see Benchmarks in docs/contributing.md."""
