"""The console: pages for the store's team, behind an admin's key. It speaks to `/v1` alone."""
