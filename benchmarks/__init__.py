"""Commands that measure; see the README beside this file."""
