"""The nouns of Pitaya: what exists, which states it has, and what money facts mean. Standard library only."""
