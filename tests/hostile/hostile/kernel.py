# SPDX-License-Identifier: GPL-2.0
"""What the kernel of this machine says and shows."""
import glob
import os
import re

# What the kernel may say in any of the tests: devices that come and go, that a connection
# was lost; rxe, that a work request ended with an error; libiscsi, what was rejected, or is
# of an earlier connection.
ORDINARY = re.compile(
    r"(iSCSI Initiator over iSER|Direct-Access|Attached|logical blocks|Write Protect|Mode Sense"
    r"|Synchronizing SCSI cache|caching mode page|drive cache|detected conn error"
    r"|pdu \(op \w+ itt \w+\) rejected|received itt \w+ expected session age"
    r"|rxe_\S+: qp#\d+ \w+: non-flush error status|detected capacity change"
    r"|Preferred minimum I/O size|Optimal transfer size|clocksource: |Watchdog remote CPU"
    r"|cache: |TSC: |random: |hrtimer: |block device autoloading is deprecated)", re.I)

# What it must never say; as in tests/vm/lib.sh.
REPORT = re.compile(
    r"WARNING:|BUG:|Oops|Call Trace:|general protection|KASAN|KCSAN|UBSAN|lockdep"
    r"|possible (circular|recursive) locking|inconsistent lock state|suspicious RCU"
    r"|INFO: (task|rcu)|blocked for more than|soft lockup|hard LOCKUP|DMA-API:|refcount_t|ODEBUG"
    r"|unreferenced object|sleeping function called|scheduling while atomic"
    r"|list_(add|del) corruption|rust_kernel: panicked")


class Reports:
    """What it must never say, line by line. A report that tests/vm/lib.sh knows is dropped as a whole."""

    def __init__(self):
        # awk's way to write a bracket is one that Python warns of.
        self.known = re.compile((os.environ.get("known_reports") or "(?!)").replace("[[]", r"\["), re.S)
        self.report = None

    def of(self, line):
        """The lines that are to be told now that this one has come."""
        if "[ cut here ]" in line:
            before, self.report = self.rest(), []
            return before
        if self.report is None:
            return [line] if REPORT.search(line) else []
        self.report.append(line)
        if "---[ end trace " not in line:
            return []
        lines, known = self.rest(), self.known.search("\n".join(self.report))
        self.report = None
        return [] if known else lines

    def rest(self):
        """The same of a report that has not ended."""
        return [line for line in self.report or [] if REPORT.search(line)]


class Log:
    """The kernel log from now on."""

    def __init__(self):
        self.fd = os.open("/dev/kmsg", os.O_RDONLY | os.O_NONBLOCK)
        os.lseek(self.fd, 0, os.SEEK_END)

    def lines(self):
        """What has come since the last call."""
        lines = []
        while True:
            try:
                record = os.read(self.fd, 8192).decode(errors="replace")
            except BlockingIOError:
                return lines
            except BrokenPipeError:     # some was overwritten
                lines.append("(lost lines of the kernel log)")
                continue
            text = record.partition(";")[2].split("\n")[0]
            lines.append(text)


def session_folder(name):
    for folder in sorted(glob.glob("/sys/class/iscsi_session/session*"), reverse=True):
        try:
            if open(f"{folder}/targetname").read().strip() == name:
                return folder
        except OSError:
            pass
    return None


def session_state(name):
    folder = session_folder(name)
    try:
        return open(f"{folder}/state").read().strip() if folder else None
    except OSError:
        return None


def device(name, pattern):
    """Folder of a SCSI device's child in sysfs."""
    folder = session_folder(name)
    found = glob.glob(f"{folder}/device/target*/*:0/{pattern}") if folder else []
    return found[0] if found else None
