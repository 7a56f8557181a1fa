# SPDX-License-Identifier: GPL-2.0
"""How tests are run, for tests/run: on this machine, or in a guest."""
import glob
import os
import re
import shlex
import shutil
import subprocess
import threading
import time

TOP = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DRIVER = os.environ.get("DRIVER", "ib_iser_rs")
SOAK = os.environ.get("SOAK")
SOAK_LIMIT = 6 * 3600
SKIPPED = 77
BOOT = 300      # seconds that a guest may take besides its tests
MARK = re.compile(rb"### (begin|end|again)(?: (\S+)(?: (\d+))?)?$")


class Test:
    def __init__(self, path, debug=False):
        self.path, self.debug, self.debuggable, self.by_name = path, debug, True, debug
        self.file = "/".join(path.split("/")[-2:])[:-3]
        group = self.file.split("/")[0]
        self.group = f"debug/{group}" if debug else group
        self.name = f"{self.group}/{self.file.split('/')[1]}"
        self.in_guest = "/tests/vm/" in path
        self.dir = f"{TOP}/build/test/{self.name}"
        self.what, self.options, self.only, self.limit, self.modules = [], [], None, 300, []
        self.tools, self.on, self.lacking = False, None, False
        for line in open(path):
            if not line.startswith("#"):
                break
            text = line.lstrip("#").strip()
            if text.startswith("guest:"):
                self.options = shlex.split(text[6:])
            elif text.startswith("only:"):
                self.only = text[5:].strip()
            elif text.startswith("by name:"):
                self.by_name = True
            elif text.startswith("debug: no"):
                self.debuggable = False
            elif text.startswith("kernel:"):
                self.on = text[7:].strip()
                self.debug = self.on == "debug"
            elif text.startswith("module:"):
                self.modules.append(text[7:].strip())
            elif text.startswith("tools:"):
                self.tools = True
            elif text and not text.startswith(("!", "SPDX")):
                self.what.append(text)
        self.limit = int(self.take("--limit", 300)) * (2 if self.debug else 1)
        if SOAK:
            self.limit = SOAK_LIMIT
        self.memory = self.take("--memory", "3G")

    def take(self, option, default):
        """Its value, out of the options: those that are left tell who can share a guest."""
        if option not in self.options:
            return default
        at = self.options.index(option)
        value = self.options[at + 1]
        del self.options[at:at + 2]
        return value

    def kernel(self):
        return "debug" if self.debug else self.on or "stock"

    def names(self):
        """What it can be selected by."""
        return {self.name, self.group, self.group.split("/")[0]}

    def fresh_dir(self):
        shutil.rmtree(self.dir, ignore_errors=True)
        os.makedirs(self.dir)

    def injected(self):
        """How many faults it injected."""
        try:
            return int(open(f"{self.dir}/injected").read())
        except FileNotFoundError:
            return 0

    def reason(self):
        """One line: what a check has said, or the last of all that was said."""
        lines = [line for said in self.said() for line in said] or [""]
        return next((line for line in lines if "FAILED:" in line), lines[-1]).strip()

    def tail(self):
        return "\n".join("    " + line for said in self.said() for line in said[-60:])

    def said(self):
        """The lines of each file with what it said."""
        paths = [f"{self.dir}/{name}" for name in ("guest/log", "output")]
        return [open(path, errors="replace").read().splitlines() for path in paths if os.path.exists(path)]


class Unit:
    """Tests that are run one after the other. `report(test, status, seconds)` is told of each."""

    def __init__(self, tests, report):
        self.tests, self.report, self.process, self.stopped = tests, report, None, False

    def start(self, *command, **options):
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, cwd=TOP, **options)
        if self.stopped:
            self.stop()
        return self.process

    def stop(self):
        self.stopped = True
        if self.process and self.process.poll() is None:
            self.process.terminate()

    def run(self):
        for test in [t for t in self.tests if t.lacking or t.only and t.only != DRIVER]:
            self.tests.remove(test)
            self.report(test, SKIPPED, 0)
        for test in self.tests:
            test.fresh_dir()
        self.run_tests()


class Here(Unit):
    """Tests of one group on this machine: they use the same folders of build/."""

    def run_tests(self):
        for test in self.tests:
            if self.stopped:
                return
            begin = time.monotonic()
            with open(f"{test.dir}/output", "wb") as out:
                status = self.start(test.path, stdout=out, stderr=out).wait()
            self.report(test, status, time.monotonic() - begin)


class Boot(Unit):
    """Tests that share a guest, see tests/vm/sequence.sh. If it ends early, or is ended for a
    test that goes on for too long, that test has failed and those behind it get another."""

    def run_tests(self):
        while self.tests and not self.stopped:
            self.tests = self.boot(self.tests)

    def command(self, tests):
        cmd = [f"{TOP}/scripts/guest", "--dir", f"{tests[0].dir}/guest", "--env", f"DRIVER={DRIVER}",
               "--limit", str(BOOT + sum(t.limit for t in tests)),
               "--memory", max(t.memory for t in tests)]
        if SOAK:
            cmd += ["--env", f"SOAK={SOAK}"]
        if tests[0].kernel() != "stock":
            cmd += ["--kernel", tests[0].kernel()]
        elif os.environ.get("KERNEL"):
            cmd += ["--kernel", os.environ["KERNEL"]]
        return [*cmd, *tests[0].options, f"{TOP}/tests/vm/sequence.sh", *(t.file for t in tests)]

    def boot(self, tests):
        """Runs them until the guest ends; returns those that it did not come to."""
        left, running, failed, output = list(tests), None, None, None
        timer = begin = None

        def settle():
            nonlocal failed
            if failed:
                left.remove(failed[0])
                self.report(*failed)
                failed = None

        with open(f"{tests[0].dir}/guest.log", "wb") as err:
            self.start(*self.command(tests), stdout=subprocess.PIPE, stderr=err)
        for line in self.process.stdout:
            mark = MARK.search(line.rstrip())
            if not mark:
                if running:
                    output.write(line)
                continue
            if timer:
                timer.cancel()
            if mark[1] == b"begin":
                settle()
                # After a guest was booted again, there are those that have passed before.
                running = next((t for t in left if t.file == mark[2].decode()), None)
                if running:
                    output, begin = open(f"{running.dir}/output", "wb", buffering=0), time.monotonic()
                    timer = threading.Timer(running.limit, self.give_up, (running, output))
                    timer.start()
            elif mark[1] == b"end" and running:
                test, status, running = running, int(mark[3]), None
                if status in (0, SKIPPED):
                    left.remove(test)
                    self.report(test, status, time.monotonic() - begin)
                else:
                    failed = test, status, time.monotonic() - begin
            elif mark[1] == b"again":
                # QEMU has crashed one of its guests: what has failed, failed for that.
                running = failed = None
        settle()
        status = self.process.wait()
        if timer:
            timer.cancel()
        self.collect(tests, left)
        if left and (running or left == tests) and not self.stopped:
            # It took the guest with it, was in it for too long, or there was none.
            left.remove(running or left[0])
            self.report(running or tests[0], status or 1, time.monotonic() - begin if begin else 0)
        return left

    def give_up(self, test, output):
        output.write(b"no end after %d s\n" % test.limit)
        self.process.terminate()

    @staticmethod
    def collect(tests, left):
        """Each test's results to its folder, with a link to the guest's."""
        guest = f"{tests[0].dir}/guest"
        os.makedirs(guest, exist_ok=True)
        os.rename(f"{guest}.log", f"{guest}/log")
        for test in tests[:len(tests) - len(left) + 1]:
            if test is not tests[0]:
                os.symlink(os.path.relpath(guest, test.dir), f"{test.dir}/guest")
            for path in glob.glob(f"{guest}/{test.file}/*"):
                shutil.move(path, test.dir)
            shutil.rmtree(f"{guest}/{test.file}", ignore_errors=True)
