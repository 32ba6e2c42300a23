"""What any adapter of a port must do: abstract classes, subclassed for the fakes and for the real adapters.

A subclass in a ``test_*.py`` supplies one fixture, named in the class's docstring. Contracts speak ports only.
"""

import pkgutil

import pytest

pytest.register_assert_rewrite(*(f"{__name__}.{module.name}" for module in pkgutil.iter_modules(__path__)))
