"""Proof by numbers and by damage: `python -m bench` measures, `python -m bench.mutants` breaks the code on purpose."""
