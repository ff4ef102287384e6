"""Results and progress on the terminal: the only room that paints."""
