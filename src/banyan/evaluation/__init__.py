"""HOW GOOD, AND AGAINST WHAT: metrics with intervals, each task alone, the simple strong baselines, the table and the report."""
