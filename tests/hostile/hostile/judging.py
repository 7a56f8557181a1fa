# SPDX-License-Identifier: GPL-2.0
"""The judge: brings about what an attack waits for, and says whether it was stood."""
import os
import random
import re
import subprocess
import sys
import time

from . import kernel
from .attack import FIRST_BLOCK
from .control import ask
from .initiator import PATIENCE, SIZE, Buffer, Failed, Initiator, Io, PassThrough, wait

NAMES = ["iqn.2003-01.org.example:hostile", "iqn.2003-01.org.example:bystander"]
BLOCKS = SIZE // 512
FLUSHED = 5             # enum ibv_wc_status
PROOF_BLOCK = 1024      # where no attack looks

SETTINGS = {
    # So that a lost session is logged in again at once, and a login is not tried for long.
    "node.session.timeo.replacement_timeout": 60, "node.session.initial_login_retry_max": 1,
    "node.conn[0].timeo.login_timeout": 5 * PATIENCE,
    "node.conn[0].timeo.logout_timeout": 5 * PATIENCE,
    # No pings of the initiator's that would tell a slow target from a dead one.
    "node.conn[0].timeo.noop_out_interval": 0, "node.conn[0].timeo.noop_out_timeout": 0,
    "node.session.err_timeo.abort_timeout": 10, "node.session.err_timeo.lu_reset_timeout": 10,
    "node.session.scan": "auto", "node.session.queue_depth": 32,
}


class Court:
    def __init__(self, driver, address, log):
        self.driver, self.ours = driver, driver == "ib_iser_rs"
        self.name, self.other = NAMES
        self.initiator = Initiator(f"{address}:3261")
        self.log = kernel.Log()
        here = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
        self.target_log = open(log, "w+")
        self.target = subprocess.Popen(
            [f"{here}/hostile-target", "--address", address, *sum((["--name", n] for n in NAMES), [])],
            stdout=self.target_log, stderr=subprocess.STDOUT, stdin=subprocess.DEVNULL)
        wait("the target listens", lambda: "listening" in open(log).read() or self.dead())
        self.initiator.discover()
        for name in NAMES:
            self.initiator.configure(name, SETTINGS)
        self.negotiated, self.logged_in, self.rng = None, set(), random.Random(3)
        self.content = self.rng.randbytes(SIZE)

    def dead(self):
        if self.target.poll() is not None:
            self.target_log.seek(0)
            sys.exit(f"the target ended: {self.target_log.read()}")

    def close(self):
        self.target.terminate()
        self.target.wait()

    ### Sessions

    def fresh(self):
        """No sessions."""
        for name in NAMES:
            self.initiator.log_out(name)
        self.logged_in.clear()

    def ready(self, expect, names):
        """Sessions with `names`, negotiated as `expect` says, and the first one's disk."""
        wanted = (expect.offer, expect.invalidates)
        if wanted != self.negotiated or not set(names) <= self.logged_in:
            self.fresh()
            ask("negotiate", offer=expect.offer, invalidates=expect.invalidates)
            self.negotiated = wanted
            for name in names:
                self.initiator.log_in(name)
            self.logged_in = set(names)
            self.prove(self.initiator.wait_for_disk(self.name))
        return self.initiator.wait_for_disk(self.name)

    def prove(self, disk):
        """The target can be used: what is written is read back. Leaves what attacks read."""
        for block, data in ((PROOF_BLOCK, self.rng.randbytes(SIZE)), (FIRST_BLOCK, self.content),
                            (FIRST_BLOCK + BLOCKS, self.content[::-1])):
            Io(disk, block, Buffer(1, data), write=True).finish()
            buffer = Buffer(2)
            Io(disk, block, buffer).finish()
            if buffer.data != data or not buffer.guarded():
                raise Failed(f"wrong data at block {block} without an attack")

    ### One attack

    def judge(self, cls):
        """What the attack found. Raises `Failed`."""
        if cls.expect.trigger == "login":
            return self.judge_login(cls)
        for _ in range(5):
            result = self.judge_once(cls, cls.expect)
            # The initiator hears of a refused access by an event of its queue pair. When it
            # ends the connection for it before rxe has come to answer the target, then rxe
            # does not answer. Nothing is known then, so that is no result.
            if result.get("status") != FLUSHED:
                break
        if self.ours and result.get("access", "refused") != "refused":
            raise Failed(f"the access was not refused: {result['access']}; {result['log']}")
        return result

    def judge_once(self, cls, expect):
        names = NAMES if "two sessions" in expect.trigger else NAMES[:1]
        disk = self.ready(expect, names)
        before = ask("state")["count"]
        self.log.lines()
        ask("arm", name=cls.name)
        result = getattr(self, "do_" + expect.trigger.replace(" ", "_"))(disk, expect)
        lines = []
        if expect.ends is not None and self.ours:
            self.wait_for_line(lines)
        for name in names:
            self.initiator.wait_until_in(name)
        self.prove(self.initiator.wait_for_disk(self.name))
        lines += self.log.lines()
        result["reconnects"] = ask("state")["count"] - before
        result["log"] = lines
        if self.ours:
            self.check_log(expect, lines, result["reconnects"])
        return result

    def wait_for_line(self, lines):
        def come():
            lines.extend(self.log.lines())
            return any("detected conn error" in line for line in lines)
        wait("the end of the connection", come)

    def check_log(self, expect, lines, reconnects):
        ended = [line for line in lines if line.startswith(self.driver + ":")]
        others = [line for line in lines
                  if line not in ended and not kernel.ORDINARY.search(line)]
        if others:
            raise Failed("unexpected in the kernel log: " + " | ".join(others))
        if expect.loose:
            return
        if expect.ends is None:
            if ended or reconnects != (expect.trigger == "logout"):
                raise Failed(f"{reconnects} reconnects instead of none: {ended}")
            return
        about = [line for line in ended if re.search(
            rf"^{self.driver}: \S+ at \S+ \(session \d+\): .*({expect.ends})", line)]
        if len(ended) != 1 or len(about) != 1:
            raise Failed(f"not one line with '{expect.ends}': {ended}")
        codes = {int(m[1]) for line in lines if (m := re.search(r"conn error \((\d+)\)", line))}
        if expect.codes and not codes <= expect.codes:
            raise Failed(f"iSCSI error {codes}, not {expect.codes}")
        if reconnects != 1 + (expect.trigger == "logout"):
            raise Failed(f"{reconnects} reconnects instead of one")

    def outcome(self, limit=60):
        return wait("the attack has been made", lambda: self.dead() or ask("result"), limit)

    def check_read(self, buffer, content=None):
        if not buffer.guarded():
            raise Failed("memory beside the buffer has changed")
        if buffer.data != (content or self.content):
            raise Failed("the read returned wrong data")

    def do_read(self, disk, expect):
        """A read; the attack is told when it has returned, and may wait for that."""
        buffer = Buffer(7)
        io = Io(disk, FIRST_BLOCK, buffer)
        io.finish()
        seen = buffer.data
        ask("go")
        result = self.outcome()
        result["changed"] = buffer.data != seen
        result["guards"] = buffer.guarded()
        if self.ours:
            self.check_read(buffer)
        return result

    def do_write(self, disk, expect):
        """The same with a write."""
        data = self.rng.randbytes(SIZE)
        buffer = Buffer(8, data)
        io = Io(disk, FIRST_BLOCK, buffer, write=True)
        io.finish()
        ask("go")
        result = self.outcome()
        result["changed"] = buffer.data != data
        result["guards"] = buffer.guarded()
        if self.ours:
            self.check_read(buffer, data)
            back = Buffer(9)
            Io(disk, FIRST_BLOCK, back).finish()
            self.check_read(back, data)
        return result

    def do_two_reads(self, disk, expect):
        first, second = Buffer(10), Buffer(11)
        ios = [Io(disk, FIRST_BLOCK, first), Io(disk, FIRST_BLOCK + BLOCKS, second)]
        for io in ios:
            io.finish()
        result = self.outcome()
        result["changed"] = first.data != self.content or second.data != self.content[::-1]
        result["guards"] = first.guarded() and second.guarded()
        if self.ours:
            self.check_read(first)
            self.check_read(second, self.content[::-1])
        return result

    do_two_sessions, do_two_sessions_write = do_read, do_write

    def do_abort(self, disk, expect, write=False, reset=False):
        """I/O that the target does not answer, until it is aborted or the LUN is reset; the
        attack is told when the application has its buffer back."""
        data = self.rng.randbytes(SIZE)
        buffer = Buffer(12, data)
        io = PassThrough(disk, FIRST_BLOCK, buffer, write, timeout=60 if reset else 1)
        if reset:
            wait("the command is at the target", lambda: ask("state")["commands"])
            resetting = self.initiator.reset_lun(self.name)
            wait("the end of the reset", lambda: resetting.poll() is not None)
            if resetting.returncode:
                raise Failed(f"the reset failed: {resetting.returncode}")
        io.finish()
        if not io.host_status:
            raise Failed("the command that was given up has succeeded")
        ask("go")
        result = self.outcome()
        result["changed"], result["guards"] = buffer.data != data, buffer.guarded()
        if self.ours:
            self.check_read(buffer, data)
        return result

    def do_abort_write(self, disk, expect):
        return self.do_abort(disk, expect, write=True)

    def do_reset(self, disk, expect):
        return self.do_abort(disk, expect, reset=True)

    def do_reset_write(self, disk, expect):
        return self.do_abort(disk, expect, write=True, reset=True)

    def do_logout(self, disk, expect):
        begin = time.monotonic()
        self.initiator.log_out(self.name)
        seconds = time.monotonic() - begin
        if seconds > 20 * PATIENCE:
            raise Failed(f"the logout took {seconds:.0f} s")
        self.initiator.log_in(self.name)
        return self.outcome()

    def judge_login(self, cls):
        """A login while the attack is on, that may fail; then one without."""
        expect = cls.expect
        self.fresh()
        self.negotiated = None
        ask("negotiate", offer=expect.offer, invalidates=expect.invalidates)
        self.log.lines()
        ask("arm", name=cls.name)
        begin = time.monotonic()
        status, output = self.initiator.try_to_log_in(self.name, 90)
        result = {"login": status, "seconds": round(time.monotonic() - begin, 1)}
        if expect.io == "ok" and status:
            raise Failed(f"login failed: {output}")
        if expect.io == "fails" and not status:
            raise Failed("the login succeeded")
        if not status:
            ask("disarm")
            # The initiator may not have noticed yet that the target has ended the last one.
            wait("a session at the target", lambda: ask("state")["sessions"])
            self.initiator.wait_until_in(self.name)
            if expect.io == "any":
                # The kernel looked for disks while the attack was on, and does so once. (With
                # ib_iser, too.)
                self.initiator.rescan(self.name)
            self.prove(self.initiator.wait_for_disk(self.name))
        result.update(self.outcome())
        self.fresh()
        lines = self.log.lines()
        ask("disarm")
        result["log"] = lines
        if self.ours:
            others = [line for line in lines if not line.startswith(self.driver + ":")
                      and not kernel.ORDINARY.search(line)]
            if others:
                raise Failed("unexpected in the kernel log: " + " | ".join(others))
            said = [line for line in lines if line.startswith(self.driver + ":")]
            nameless = [line for line in said
                        if not re.search(rf"^{self.driver}: (\S+ at )?{self.initiator.portal}( \(session \d+\))?: ", line)]
            if nameless:
                raise Failed(f"who it is about is not said: {nameless}")
            if expect.ends is not None and not any(re.search(f": .*({expect.ends})", line) for line in said):
                raise Failed(f"no line with '{expect.ends}': {lines}")
        if status:
            self.prove(self.initiator.log_in(self.name))
            self.fresh()
        return result

    ### All of them

    def session(self, chosen, table):
        failed, rows = 0, []
        # Those that negotiate the same share a session.
        for cls in sorted(chosen, key=lambda cls: str((
                cls.expect.trigger == "login", "two sessions" in cls.expect.trigger,
                cls.expect.offer, cls.expect.invalidates))):
            begin = time.monotonic()
            try:
                result = self.judge(cls)
                verdict, note = "ok", ""
            except Failed as e:
                result, verdict, note = {}, "FAIL", str(e)
            except ConnectionError as e:
                self.dead()
                result, verdict, note = {}, "FAIL", f"the target does not answer: {e}"
            seconds = time.monotonic() - begin
            shown = {k: v for k, v in result.items() if k != "log"}
            print(f"{verdict:4} {cls.group}/{cls.name:28} {seconds:5.1f} s  {note or shown}", flush=True)
            rows.append((cls, verdict, result))
            if verdict == "FAIL":
                failed += 1
                self.after_failure()
        if table:
            with open(table, "w") as f:
                for cls, verdict, result in sorted(rows, key=lambda row: chosen.index(row[0])):
                    f.write(f"{cls.group}\t{cls.name}\t{verdict}\t{result.get('access', '-')}\t"
                            f"{cls.about().splitlines()[0]}\n")
        self.fresh()
        print(f"{len(rows)} attacks, {len(rows) - failed} stood, {failed} not")
        return 1 if failed else 0

    def after_failure(self):
        """The next attack shall not suffer from this one."""
        for line in self.log.lines()[-10:]:
            print("       kernel:", line)
        for note in ask("notes")[-5:]:
            print("       target:", note)
        ask("disarm")
        self.negotiated = None
        self.fresh()
