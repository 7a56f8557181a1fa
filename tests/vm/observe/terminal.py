# SPDX-License-Identifier: GPL-2.0
"""A terminal that a program runs in, and what a person would see on it."""
import fcntl
import os
import pty
import re
import select
import struct
import termios
import time

# What ends a sequence: CSI … letter, or another escape of two characters.
ESCAPE = re.compile(r"\x1b\[([?0-9;]*)([A-Za-z])|\x1b[()][A-Z0-9]|\x1b[=>78]")


class Terminal:
    """Of so many columns and lines. Takes the sequences that crossterm sends."""

    def __init__(self, command, columns=100, lines=30):
        self.size = columns, lines
        self.text, self.alternate, self.cursor_shown = "", False, True
        self.clear()
        self.pid, self.fd = pty.fork()
        if not self.pid:
            os.environ["TERM"] = "xterm-256color"
            time.sleep(0.1)         # until the size is set
            os.execvp(command[0], command)
        self.resize(columns, lines)

    def resize(self, columns, lines):
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.size = columns, lines
        self.clear()

    def clear(self):
        columns, lines = self.size
        self.cells, self.at = [[" "] * columns for _ in range(lines)], (0, 0)

    def feed(self, seconds):
        """Takes what comes in that time; returns whether the program goes on."""
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            if select.select([self.fd], [], [], left)[0]:
                try:
                    raw = os.read(self.fd, 65536)
                except OSError:     # the program has ended
                    return False
                self.text += raw.decode(errors="replace")
                self.take()
        return True

    def take(self):
        while self.text:
            if self.text[0] == "\x1b":
                match = ESCAPE.match(self.text)
                if not match:
                    if len(self.text) > 32:
                        raise ValueError(f"what is {self.text[:32]!r}?")
                    return          # the rest of it is still to come
                self.text = self.text[match.end():]
                if match[2]:
                    self.sequence(match[1], match[2])
                continue
            self.character(self.text[0])
            self.text = self.text[1:]

    def sequence(self, parameters, letter):
        if letter == "H":
            line, _, column = parameters.partition(";")
            self.at = int(line or 1) - 1, int(column or 1) - 1
        elif letter == "J":
            self.clear()
        elif letter in "hl" and parameters == "?1049":
            self.alternate = letter == "h"
        elif letter in "hl" and parameters == "?25":
            self.cursor_shown = letter == "h"
        elif letter not in "mhln":
            raise ValueError(f"sequence {parameters}{letter}")

    def character(self, character):
        line, column = self.at
        if character == "\r":
            self.at = line, 0
        elif character == "\n":
            self.at = line + 1, column
        elif line < len(self.cells) and column < len(self.cells[line]):
            self.cells[line][column] = character
            self.at = line, column + 1

    def shown(self):
        return "\n".join("".join(line).rstrip() for line in self.cells)

    def type(self, keys):
        os.write(self.fd, keys.encode())

    def wait_for(self, pattern, seconds=60):
        end = time.monotonic() + seconds
        while not re.search(pattern, self.shown()):
            if not self.feed(0.2):
                raise SystemExit(f"FAILED: the program ended before {pattern!r}:\n{self.shown()}")
            if time.monotonic() > end:
                raise SystemExit(f"FAILED: {pattern!r} is not on the screen:\n{self.shown()}")

    def end(self, seconds=20):
        """The exit status, when it has ended by itself."""
        limit = time.monotonic() + seconds
        while self.feed(0.2):
            if time.monotonic() > limit:
                raise SystemExit("FAILED: the program does not end")
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
