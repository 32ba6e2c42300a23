"""Commands that call one use case and print what came of it."""
