# SPDX-License-Identifier: GPL-2.0
"""The attacks, a module for each kind."""
from . import access, connect, fuzz, invalidation, lax, pdus, tardy  # noqa: F401
