"""How fast the integer programs are, next to float runtimes: ``make bench``, whose figures docs/benchmarks.md shows."""
