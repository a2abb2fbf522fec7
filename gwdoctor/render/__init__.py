"""Renderers: a `Report` in, text out. They decide nothing."""
