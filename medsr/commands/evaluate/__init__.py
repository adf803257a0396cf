"""`medsr evaluate`: benchmarks, each with one printed protocol."""
