"""Helpers stand beside the tests that share them: ``from tests.engine.tiny_runs import staged``."""
