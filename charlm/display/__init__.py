"""Terminal display of results and progress, and export of learning curves."""
