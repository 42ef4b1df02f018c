"""Checks and grading. It imports podpath, never the other way round."""
