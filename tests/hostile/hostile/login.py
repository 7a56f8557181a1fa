# SPDX-License-Identifier: GPL-2.0
"""The login phase of an iSER target: text keys and stages (RFC 7143 sections 6 and 13)."""
import struct

from . import pdu

# What we offer. --set NAME=VALUE of the tool changes it.
DEFAULTS = {"InitialR2T": "Yes", "ImmediateData": "Yes", "MaxBurstLength": "262144",
            "FirstBurstLength": "65536", "MaxOutstandingR2T": "1", "MaxConnections": "1",
            "ErrorRecoveryLevel": "0", "DefaultTime2Wait": "0", "DefaultTime2Retain": "0",
            "TargetRecvDataSegmentLength": "8192", "InitiatorRecvDataSegmentLength": "8192",
            "MaxRecvDataSegmentLength": "8192", "RDMAExtensions": "Yes", "DataPDUInOrder": "Yes",
            "DataSequenceInOrder": "Yes", "iSCSIProtocolLevel": "1"}

SMALLER = {"MaxBurstLength", "FirstBurstLength", "MaxOutstandingR2T", "MaxConnections",
           "ErrorRecoveryLevel", "DefaultTime2Retain", "TargetRecvDataSegmentLength",
           "InitiatorRecvDataSegmentLength", "iSCSIProtocolLevel"}
EITHER = {"InitialR2T", "DataPDUInOrder", "DataSequenceInOrder"}    # Yes if one says so
BOTH = {"ImmediateData", "RDMAExtensions"}                          # Yes if both say so
DECLARED = {"InitiatorName", "InitiatorAlias", "TargetName", "SessionType",
            "MaxOutstandingUnexpectedPDUs"}
ALWAYS = {"AuthMethod": "None", "HeaderDigest": "None", "DataDigest": "None", "IFMarker": "No",
          "OFMarker": "No", "TaskReporting": "RFC3720"}

FULL_FEATURE = 3


class Login:
    """One connection's login. `answer()` makes the response to a request."""

    def __init__(self, offer, targets):
        self.offer, self.targets = {**DEFAULTS, **offer}, targets
        self.keys, self.chosen = {}, {}
        self.done = self.declared = self.named = False
        self.isid = bytes(6)

    @property
    def discovery(self):
        return self.keys.get("SessionType") == "Discovery"

    @property
    def target_name(self):
        return self.keys.get("TargetName")

    def choose(self, key, value):
        """Our answer to one key; None if it takes none."""
        if key in DECLARED:
            return None
        if key == "MaxRecvDataSegmentLength":
            self.declared = True
            return self.offer[key]
        if key in ALWAYS:
            return ALWAYS[key]
        ours = self.offer.get(key)
        if ours is None:
            return "NotUnderstood"
        if key in SMALLER:
            return str(min(int(value, 0), int(ours)))
        if key == "DefaultTime2Wait":
            return str(max(int(value, 0), int(ours))) if int(ours) else ours
        if key in EITHER:
            return "Yes" if "Yes" in (value, ours) else "No"
        if key in BOTH:
            return "Yes" if value == ours == "Yes" else "No"
        return ours

    def answer(self, request):
        """The response to a login request. When it is the last one, `done` is set."""
        flags = request.bhs[1]
        transit, current, following = flags & 0x80, flags >> 2 & 3, flags & 3
        self.isid = request.bhs[8:14]
        keys = request.text()
        self.keys.update(keys)
        answers = []
        for key, value in keys.items():
            choice = self.choose(key, value)
            if choice is not None:
                answers.append((key, choice))
                self.chosen[key] = choice
        if not self.named and "InitiatorName" in keys:
            self.named = True
            if not self.discovery:
                answers.append(("TargetPortalGroupTag", "1"))
        if current == 1 and transit and not self.declared:
            self.declared = True
            answers.append(("MaxRecvDataSegmentLength", self.offer["MaxRecvDataSegmentLength"]))
        if not self.discovery and self.target_name not in self.targets:
            return self.response(request, current << 2, [], status=(2, 3))      # not found
        self.done = bool(transit) and following == FULL_FEATURE
        return self.response(request, flags & 0x8f, answers)

    def response(self, request, flags, keys, status=(0, 0)):
        tsih = b"\0\x01" if self.done else b"\0\0"
        return pdu.Pdu(pdu.LOGIN_RESPONSE, flags, request.itt, pdu.encode(keys),
                       b8=self.isid + tsih, b36=bytes(status))


def immediate_limit(login):
    if login.chosen.get("ImmediateData", "Yes") != "Yes":
        return 0
    return int(login.chosen.get("TargetRecvDataSegmentLength", login.offer["MaxRecvDataSegmentLength"]))


def targets_text(names, portals):
    return [pair for name in names
            for pair in (("TargetName", name), *(("TargetAddress", f"{p},1") for p in portals))]


def pack_lun(lun):
    return struct.pack(">BB6x", 0, lun)
