"""Real servers for tests and benchmarks: started when first asked for, stopped at the end."""
