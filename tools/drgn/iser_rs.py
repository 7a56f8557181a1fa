#!/usr/bin/env drgn
# SPDX-License-Identifier: GPL-2.0
"""Prints the connections of ib_iser_rs and what is in their slots, of a running kernel or of a
crash dump, without anything running in that kernel:

  drgn --no-default-symbols iser_rs.py ib_iser_rs.ko
  drgn -c vmcore -s vmlinux -s ib_iser_rs.ko iser_rs.py

The module has to be the one that is or was loaded, and with its debug information: as kbuild
leaves it, not stripped. Of a running kernel that is all, as sysfs tells where the module is; to find
it in a crash dump takes the kernel's own debug information.

What is printed is what debugfs has in info, counters and slots (Documentation/observability.rst).
It is read without a lock, so on a running kernel a line may be of two moments.
"""
import glob
import ipaddress
import os
import sys

from drgn import FaultError, Language, Object, TypeKind, container_of

CRATE = "ib_iser_rs::"
QUEUE = "<ib_iser_rs::iser::queue::Queue>"
CONNECTION = f"{CRATE}iser::connection::Connection"

# kernel::sync::SetOnce: what its word is when the value is there.
SET = 2

# rust/rdma/fence.rs, State.
SENDS, HELD, ARMED, ANSWER, INVALIDATING = 0xfff, 1 << 12, 1 << 13, 1 << 14, 1 << 16
REGION, ADVERTISED, POSTING = 1 << 15, 1 << 17, 1 << 18


def number(obj):
    """The integer within however many structures that have nothing else."""
    while obj.type_.kind in (TypeKind.STRUCT, TypeKind.UNION):
        obj = obj.member_(obj.type_.members[0].name)
    return obj.value_()


def once(obj):
    """What is in a SetOnce, or None."""
    if number(obj.init) != SET:
        return None
    # UnsafeCell, MaybeUninit, ManuallyDrop.
    return obj.value.value.value.value


def published(obj, name):
    """What is in a Published of the named type, or None."""
    address = number(obj.address) % 2**64      # An atomic's is signed.
    return Object(obj.prog_, name, address=address) if address else None


def arc(obj):
    """What an Arc leads to."""
    return obj.ptr.pointer.data


def text(obj):
    """A Text: bytes and their number."""
    return bytes(obj.bytes.value_())[:obj.len.value_()].decode(errors="replace")


def items(vec):
    """The elements of a Vec."""
    pointer = vec.ptr.pointer
    return (pointer[n] for n in range(vec.len.value_()))


def address(obj):
    """A SockAddr."""
    raw = bytes(obj.member_("__0").value_())
    port = int.from_bytes(raw[2:4], "big")
    if int.from_bytes(raw[:2], "little") == 10:
        return f"[{ipaddress.IPv6Address(raw[8:24])}]:{port}"
    return f"{ipaddress.IPv4Address(raw[4:8])}:{port}"


def counts(obj):
    """(name, number) of a set of counters."""
    return ((m.name, number(obj.member_(m.name))) for m in obj.type_.members)


def state_of(word):
    """As debugfs calls it, and what else is in the word."""
    if word & HELD:
        name = "held"
    elif not word & ARMED:
        return None
    elif word & ANSWER:
        name = "posted"
    elif word & INVALIDATING:
        name = "invalidating"
    else:
        name = "sending"
    also = [what for bit, what in ((REGION, "registered"), (ADVERTISED, "advertised"), (POSTING, "being posted"))
            if word & bit]
    if word & SENDS:
        also.append(f"{word & SENDS} sends")
    return f"{name} ({', '.join(also)})" if also else name


def load(prog, path):
    """Finds the module in the running kernel by sysfs, as drgn does not without symbols of that."""
    sysfs = "/sys/module/ib_iser_rs"
    sections = {}
    for file in glob.glob(f"{sysfs}/sections/*") + glob.glob(f"{sysfs}/sections/.*"):
        with open(file) as f:
            sections[os.path.basename(file)] = int(f.read(), 16)
    if not sections:
        sys.exit("iser_rs.py: ib_iser_rs is not loaded")
    module = prog.relocatable_module("ib_iser_rs", sections[".text"], create=True)
    module = module[0] if isinstance(module, tuple) else module
    module.section_addresses.update(sections)
    # Of the last section it does not matter how long it is.
    module.address_range = min(sections.values()), max(sections.values()) + 4096
    with open(f"{sysfs}/notes/.note.gnu.build-id", "rb") as f:
        module.build_id = f.read()[-20:]
    module.try_file(path)
    if module.wants_debug_file():
        sys.exit(f"iser_rs.py: {path} is not the module that is loaded, or was stripped")


class Kernel:
    """A program that is a kernel with the module."""

    def __init__(self, prog):
        # drgn knows no Rust, but names with :: and <> as C++ has them.
        prog.language = Language.CPP
        self.prog = prog

    def word(self, symbol):
        """A variable of the kernel's."""
        try:
            address = self.prog.symbol(symbol).address
        except LookupError:
            with open("/proc/kallsyms") as f:
                [address] = [int(line.split()[0], 16) for line in f if line.split()[2:] == [symbol]]
        return self.prog.read_u64(address)

    def seconds_since(self, ticks):
        passed = max(0, self.word("jiffies") - ticks)
        return passed / self.prog["iser_rs_hz"].value_()

    def connections(self):
        """By their directories in debugfs."""
        root = self.prog["iser_rs_debugfs_root"]
        if not root.value_():
            return
        for directory in children(root):
            for file in children(directory):
                raw = file.d_inode.i_private.value_()
                if name_of(directory).startswith("connection-") and raw:
                    entry = Object(self.prog, f"{CRATE}debugfs::Entry<{CONNECTION}>", address=raw)
                    yield entry.shown[0]
                    break

    def show(self, connection):
        seen = connection.observed
        print(f"connection {seen.number.value_()}")
        target, device, queue, bound = (once(seen.member_(name)) for name in ("target", "device", "queue", "bound"))
        facts = {"target": bytes(c.value_() for c in items(target)).decode() if target is not None else "none",
                 "portal": address(seen.portal)}
        if device is not None:
            facts.update(device=text(device.name), port=device.port.value_())
        if queue is not None:
            facts["qp"] = queue.number.value_()
        if bound is not None:
            facts.update(counts(bound.ids))
            facts["connections"] = number(arc(arc(bound.history).past).connections)
        up = once(seen.up)
        if up is not None:
            facts["since"] = f"{self.seconds_since(number(up)):.0f} s"
        for name, flag in (("failure", "iscsi error"), ("broken", "protocol broken"), ("end_expected", "ended by this side")):
            if value := number(connection.member_(name)):
                facts[flag] = value if value is not True else "yes"
        failure = once(seen.failure)
        if failure is not None:
            facts["last_error"] = f"{text(failure.text)} ({self.seconds_since(failure.at.value_()):.0f} s ago)"
        for name, value in facts.items():
            print(f"  {name}: {value}")
        self.show_counters(seen)
        self.show_slots(connection)

    @staticmethod
    def show_counters(seen):
        statistics = arc(seen.queue_pair)
        sets = [("sent", seen.sent.member_("__0")), ("received", seen.received.member_("__0")), ("handled", seen.handled)]
        sets += [(m.name, statistics.member_(m.name).member_("__0")) for m in statistics.type_.members]
        for name, of in sets:
            some = [f"{what} {n}" for what, n in counts(of) if n]
            print(f"  {name}: {', '.join(some) or 'nothing'}")

    def show_slots(self, connection):
        revocable = published(connection.queue_pair, f"kernel::revocable::Revocable<{CRATE}rdma::qp::QueuePair{QUEUE}>")
        if revocable is None:
            return print("  no queue pair")
        if not number(revocable.is_available):
            return print("  queue pair: revoked")
        # Opaque, UnsafePinned or UnsafeCell, MaybeUninit, …: the pointer is all there is in it.
        inner = Object(self.prog, f"{CRATE}rdma::qp::QueuePair{QUEUE}", address=revocable.data.address_).inner.pointer[0]
        exchange = published(inner.exchange, f"{CRATE}rdma::exchange::Exchange{QUEUE}")
        if exchange is None:
            return print("  no slots")
        used = 0
        for index, slot in enumerate(items(exchange.slots)):
            word = number(slot.fence)
            if state := state_of(word):
                data = number(slot.watch.data)
                direction = "none" if data < 2 else "write" if data & 1 else "read"
                age = self.seconds_since(number(slot.watch.since))
                print(f"  slot {index}: {state}, {direction} of {data >> 1} bytes, for {age:.1f} s")
                used += 1
        print(f"  {used} of {exchange.slots.len.value_()} slots in use")
        return None


def children(dentry):
    node = dentry.d_children.first
    while node.value_():
        child = container_of(node, "struct dentry", "d_sib")
        # A cursor of somebody who lists the directory has no inode.
        if child.d_inode.value_():
            yield child
        node = node.next


def name_of(dentry):
    return dentry.d_name.name.string_().decode()


def main(prog):
    if len(sys.argv) > 1:
        load(prog, sys.argv[1])
    kernel, count = Kernel(prog), 0
    try:
        for connection in kernel.connections():
            kernel.show(connection)
            count += 1
    except LookupError as e:
        sys.exit(f"iser_rs.py: {e}: is ib_iser_rs loaded, and given with -s, with debug information?")
    except FaultError as e:
        sys.exit(f"iser_rs.py: {e}: what was read has changed meanwhile, or the module is another one")
    print(f"{count} connections")


if __name__ == "__main__":
    main(prog)      # noqa: F821, drgn has it
