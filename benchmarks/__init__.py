"""One file a question; each writes its answer into RESULTS.md."""
