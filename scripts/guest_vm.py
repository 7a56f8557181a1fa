# SPDX-License-Identifier: GPL-2.0
"""One guest of scripts/guest: QEMU's command line, its ports and its monitor."""
import asyncio
import base64
import ctypes
import functools
import mmap
import os
import re
import signal
import socket
import subprocess
import time

from guest_images import TOP, accelerator, made_by, modules_image, run


# Seconds that a guest may take until it answers: the debug kernel needs half a minute, a whole Debian
# that waits for a dead target needs 80 s beside another guest, on a quick machine.
BOOT_LIMIT = 600


class Ended(Exception):
    pass


def die_with_parent():
    """For the child: no QEMU outlives scripts/guest, however that ends."""
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


class Vm:
    """One guest: QEMU, its two ports and its monitor."""

    def __init__(self, name, cmd, folder):
        self.name, self.cmd, self.process = name, cmd, None
        self.console, self.log = f"{folder}/console-{name}.log", f"{folder}/qemu-{name}.log"
        self.answered = False

    async def start(self):
        ends, fds, chardevs = {}, [], []
        for name in ("ctl", "out", "mon"):
            ends[name], theirs = socket.socketpair()
            fds.append(theirs)
            chardevs += ["-chardev", f"socket,id={name},fd={theirs.fileno()}"]
        log = open(self.log, "ab")
        self.process = await asyncio.create_subprocess_exec(
            *self.cmd, *chardevs, stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            pass_fds=[s.fileno() for s in fds], start_new_session=True,
            preexec_fn=die_with_parent)
        for s in fds:
            s.close()
        self.ctl_in, self.ctl = await asyncio.open_connection(sock=ends["ctl"], limit=1 << 26)
        self.out, self.out_writer = await asyncio.open_connection(sock=ends["out"], limit=1 << 26)
        self.mon_in, self.mon = await asyncio.open_connection(sock=ends["mon"])
        await self.mon_in.readuntil(b"(qemu) ")

    async def booted(self):
        """Waits for the answer that it gives of its own accord. It is asked nothing before: UEFI would
        have swallowed that."""
        try:
            await asyncio.wait_for(self.answer(), BOOT_LIMIT)
        except asyncio.TimeoutError:
            state = await self.state()
            await self.kill()
            raise Ended(f"guest {self.name} has not booted in {BOOT_LIMIT} s\n{state}") from None

    async def cpus(self):
        """Where its CPUs are: behind _stext, which tests/vm/init tells."""
        registers = (await self.monitor("info registers -a")).splitlines()
        return [" ".join(word for word in line.split() if word.startswith(("RIP=", "HLT=")))
                for line in registers if line.startswith("RIP=")]

    def said(self):
        """The lines on its console."""
        with open(self.console, errors="replace") as console:
            return console.read().splitlines()

    async def state(self):
        """What may explain that it does not go on: the end of its console, and where its CPUs are."""
        return "\n".join(self.said()[-8:] + await self.cpus())

    async def stuck(self):
        """What its kernel says of the tasks that wait and of what its CPUs do, if it still can."""
        try:
            return await asyncio.wait_for(self.ask_kernel(), 30)
        except (OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
            return f"guest {self.name}: QEMU's monitor does not answer: {e!r}"

    async def ask_kernel(self):
        before = len(self.said())
        places = await self.cpus()
        for key in "9wl":
            await self.monitor(f"sendkey alt-sysrq-{key}")
            await asyncio.sleep(1)
            places += await self.cpus()
        told = [line for line in self.said()[before:] if re.search(r"task:|RIP: |\] +\w\S*\+0x", line)]
        base = [line for line in self.said()[:before] if line.endswith(" _stext")]
        return "\n".join([f"guest {self.name}:", *base, *places, *told])

    async def monitor(self, line):
        self.mon.write(line.encode() + b"\n")
        return (await self.mon_in.readuntil(b"(qemu) ")).decode()

    async def run(self, command, show=None):
        """Runs a shell command in the guest; its output and exit status."""
        self.ctl.write(base64.b64encode(command.encode()) + b"\n")
        return await self.answer(show)

    async def answer(self, show=None):
        data = b""
        while True:
            part = await self.out.read(1 << 16)
            if not part:
                await self.process.wait()
                raise Ended(f"guest {self.name} ended (kernel panic or power off)")
            data += part
            self.answered = True
            text, end, status = data.partition(b"\0")
            if show:
                show(part.split(b"\0")[0])
            if end and status.endswith(b"\n"):
                return text, int(status)

    def crashed_in_boot(self):
        """It ended or got stuck before it ran anything of ours.

        QEMU's emulation with a thread for each CPU now and then lets one CPU run into the
        breakpoint by which the other patches the kernel's code, after that is over. The
        kernel patches itself most while it boots.
        """
        return not self.answered and self.process and self.process.returncode is not None

    async def kill(self):
        if self.process and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()


# Of the files of --machine, those that it writes to.
WRITTEN = ["root.ext4", "vars.fd"]


def running(folder, file):
    """The copy that it writes to: a script that is run again, see BOOTS, finds no more there
    than the first time."""
    return f"{folder}/running-{file}"


def firmware(machine):
    """For a machine that boots by UEFI; what is loaded is found on the disk esp. Secure Boot wants
    the variables to be out of the system's reach (SMM)."""
    cmd = ["-machine", "q35,smm=on", "-global", "driver=cfi.pflash01,property=secure,value=on"]
    for file, mode in (f"{machine}/code.fd", "on"), (running(machine, "vars.fd"), "off"):
        cmd += ["-drive", f"file={file},if=pflash,format=raw,readonly={mode}"]
    return cmd + ["-drive", f"file={machine}/esp,id=esp,if=none,format=raw,snapshot=on",
                  "-device", "virtio-blk-pci,drive=esp,serial=esp,bootindex=0"]


@functools.cache
def tsc_khz():
    """Of this machine's time stamp counter, which is an emulated guest's too. The guest's kernel finds
    the frequency by the PIT, and where the host is busy may take a tenth of it ("PIT calibration
    deviates from HPET", then "Using PIT calibration value"): its clock then runs ten times too fast."""
    code = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(bytes.fromhex("0f31 48c1e220 4809d0 c3"))    # rdtsc; shl $32,%rdx; or %rdx,%rax; ret
    read = ctypes.CFUNCTYPE(ctypes.c_uint64)(ctypes.addressof(ctypes.c_char.from_buffer(code)))

    def now():
        """Both clocks at one time: of some tries that which was least disturbed."""
        tries = [(time.monotonic_ns(), read(), time.monotonic_ns()) for _ in range(20)]
        before, ticks, after = min(tries, key=lambda t: t[2] - t[0])
        return (before + after) // 2, ticks

    begin, first = now()
    time.sleep(0.1)
    end, last = now()
    return (last - first) * 1000000 // (end - begin)


def qemu(args, tmp, images, name, number, peers):
    machine = args.machine.get(name)
    kernel = machine or (args.peer_kernel if number else args.kernel)
    modules = modules_image(kernel, f"{TOP}/build/guest")
    if modules:
        images = [*images, ("modules", modules)]
    cmdline = "console=ttyS0 root=/dev/vda rw panic=-1 oops=panic mitigations=off loglevel=5 " \
              "log_buf_len=4M sysrq_always_enabled no_timer_check"   # which fails, and panics, where the host is busy
    if machine:
        images = [("root", f) for f in [running(machine, "root.ext4")] if os.path.exists(f)] + images[1:]
    else:
        cmdline += f" init=/sbin/guest-init guest.name={name}"
    if os.path.exists(f"{kernel}/cmdline"):
        cmdline += " " + open(f"{kernel}/cmdline").read().strip()
    if args.systemd:
        cmdline += " guest.systemd"
    if args.append:
        cmdline += " " + args.append
    # What a guest boots with is found out with a kernel that has our initrd.
    ours = not machine and os.path.exists(f"{kernel}/initrd")
    accel = accelerator(kernel if ours else made_by("guest-kernel"))
    if accel != "kvm":
        cmdline += f" tsc_early_khz={tsc_khz()}"
    if args.by_turns:
        accel = accel.replace("thread=multi", "thread=single")
    # QEMU emulates a string of bytes byte by byte: a kernel that does not think that it is fast
    # copies by other instructions, two to four times as fast.
    cpu = "host" if accel == "kvm" else "max,-erms,-fsrm"
    cmd = ["qemu-system-x86_64", "-name", name, "-accel", accel, "-cpu", cpu, "-smp", "2", "-m", args.memory,
           "-nodefaults", "-no-user-config", "-display", "none", "-no-reboot",
           "-serial", f"file:{args.dir}/console-{name}.log",
           "-monitor", "chardev:mon", "-device", "virtio-rng-pci", "-device", "virtio-serial-pci",
           "-device", "virtserialport,chardev=ctl,name=ctl",
           "-device", "virtserialport,chardev=out,name=out"]
    if machine and os.path.exists(f"{machine}/code.fd"):
        cmd += firmware(machine)
    else:
        cmd += ["-kernel", f"{kernel}/vmlinuz", "-append", cmdline]
        if os.path.exists(f"{kernel}/initrd"):
            cmd += ["-initrd", f"{kernel}/initrd"]
    for serial, image in images:
        kept = "cache=unsafe" if machine and serial == "root" else "snapshot=on"
        cmd += ["-drive", f"file={image},id={serial},if=none,format=raw,{kept}",
                "-device", f"virtio-blk-pci,drive={serial},serial={serial}"]
    for i, size in enumerate(args.disk):
        disk = f"{tmp}/{name}-disk{i}"
        if not os.path.exists(disk):
            run("truncate", "-s", size, disk)
        cmd += ["-drive", f"file={disk},id=disk{i},if=none,format=raw,cache=unsafe",
                "-device", f"virtio-blk-pci,drive=disk{i},serial=disk{i}"]
    # The first guest has a link to each peer; alone, it has one that leads nowhere.
    links = [(n, i) for n in (range(1, peers + 1) if number == 0 else [number])
             for i in range(args.links)] or [(0, 0)]
    # Without mrg_rxbuf, as then packets are not of the kernel's page pool: to free such a one enables
    # softirqs, and rxe (7.3, drain_req_pkts() in rxe_receiver()) frees some under a lock that its
    # own softirq takes. Both CPUs then wait for that lock for ever.
    for i, (peer, link) in enumerate(links):
        net = f"addr.type=unix,addr.path={tmp}/net-{peer}-{link}"
        role = "user,restrict=on" if not peers else \
               f"stream,server={'off' if number else 'on'},{net}"
        cmd += ["-netdev", f"{role},id=net{i}", "-device",
                f"virtio-net-pci,netdev=net{i},id=nic{i},host_mtu=9000,"
                f"mrg_rxbuf=off,mac=52:54:00:{link:02x}:{peer:02x}:{number:02x}"]
    for words in args.qemu if number == 0 else []:
        cmd += words.split()
    return cmd
