"""Recipes: settings and events of representations that a computer learns and a phone's heads read."""
