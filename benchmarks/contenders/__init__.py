"""Who takes part in `benchmarks.throughput`: one script each, run in a process, and where pins clash an environment, of its own."""
