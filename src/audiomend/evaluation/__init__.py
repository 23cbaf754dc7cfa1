"""How good a restoration is, and what it cost: metrics, and the benchmark that makes every table."""
