"""Steps -> weights: the loop, its optimisers, schedules and checkpoints. Knows no metric: what is measured is handed in."""
