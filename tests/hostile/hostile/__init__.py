# SPDX-License-Identifier: GPL-2.0
"""An iSER target that misbehaves as it is told; see tests/hostile/hostile-target."""
