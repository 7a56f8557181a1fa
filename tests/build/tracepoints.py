# SPDX-License-Identifier: GPL-2.0
"""What a tracepoint that is off costs: tracepoints.py MODULE

Lists each place of the module that is patched when a tracepoint, or the latencies, are
switched on, and fails unless all there is until then is one instruction that does nothing.
"""
import re
import subprocess
import sys

NOTHING = re.compile(r"0f 1f 44 00 00|66 90")
ENTRY = 16      # struct jump_entry: code, target, key
LATENCIES = "iser_rs_latency"


def tool(*command):
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def relocations(module):
    """{offset: (symbol, addend)} of the table of what can be patched."""
    found, here = {}, False
    for line in tool("readelf", "-rW", module).splitlines():
        if line.startswith("Relocation section"):
            here = "'.rela__jump_table'" in line
        elif here and (match := re.match(r"([0-9a-f]{16}) .* (\S+) \+ ([0-9a-f]+)$", line)):
            found[int(match[1], 16)] = match[2], int(match[3], 16)
    return found


def instructions(module):
    """{(section, address): (function, offset in it, bytes)}"""
    found, section, function, start = {}, None, None, 0
    for line in tool("objdump", "-d", "-w", module).splitlines():
        if match := re.match(r"Disassembly of section (\S+):", line):
            section = match[1]
        elif match := re.match(r"([0-9a-f]+) <(.*)>:", line):
            function, start = match[2], int(match[1], 16)
        elif match := re.match(r" *([0-9a-f]+):\t([0-9a-f ]+)", line):
            at = int(match[1], 16)
            found[section, at] = function, at - start, match[2].strip()
    return found


def places(module):
    """(key, function, offset in it, bytes) of each place that is patched."""
    table, code = relocations(module), instructions(module)
    for at in sorted(table):
        if at % ENTRY == 0:
            key = table[at + 8][0]
            if key == LATENCIES or key.startswith("__tracepoint_"):
                yield key, *code[table[at]]


def main():
    functions, costly = {}, 0
    for key, function, _, what in places(sys.argv[1]):
        functions.setdefault(key, []).append(function)
        if not NOTHING.fullmatch(what):
            costly += 1
            print(f"{key} in {function}: {what}")
    for key, those in functions.items():
        print(f"{key}: {len(those)} places")
    missing = {LATENCIES, "__tracepoint_command_posted", "__tracepoint_response"} - set(functions)
    if missing:
        print("not found:", *missing)
    sys.exit(bool(missing or costly))


if __name__ == "__main__":
    main()
