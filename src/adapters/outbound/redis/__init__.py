"""What is only a hint. Losing Redis loses nothing."""
