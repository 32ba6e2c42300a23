"""The verbs of Pitaya: one use case a file, each a frozen dataclass whose fields are the ports it needs."""
