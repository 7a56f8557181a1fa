# SPDX-License-Identifier: GPL-2.0
"""Removes sessions that no process takes care of any more, with their connections.

  forget.py [--except SESSION...]
"""
import os
import sys

sys.path.insert(0, "/share/tests/hostile")
from hostile.netlink import Kernel                                      # noqa: E402

if __name__ == "__main__":
    for session in set(os.listdir("/sys/class/iscsi_session")) - set(sys.argv[2:]):
        kernel = Kernel(None, None, None)
        kernel.sid = int(session.removeprefix("session"))
        kernel.destroy()
        print(session)
