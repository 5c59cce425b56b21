"""Chorus for those who work with other packages: each module needs the one that it is named after."""
