// SPDX-License-Identifier: GPL-2.0

//! Why a target refuses a login (RFC 7143 section 11.13.5). It is for user space to deal with that;
//! this is only to tell those who look.

use kernel::fmt;

use super::wire::BHS_LEN;

/// Class and detail of a login response that refuses.
pub(super) struct Refusal(u16);

impl Refusal {
    /// That of a login response, if it is one. A target that has moved has not refused.
    pub(super) fn of(bhs: &[u8; BHS_LEN]) -> Option<Self> {
        let [.., class, detail, _, _, _, _, _, _, _, _, _, _] = *bhs;
        matches!(class, 2 | 3).then_some(Self(u16::from_be_bytes([class, detail])))
    }

    fn text(&self) -> &'static str {
        match self.0 {
            0x0201 => "authentication failed, see node.session.auth.* of its record",
            0x0202 => "the target does not admit the name in /etc/iscsi/initiatorname.iscsi",
            0x0203 => "there is no such target",
            0x0204 => "the target was removed",
            0x0205 => "the version is not supported",
            0x0206 => "too many connections",
            0x0207 => "a parameter is missing",
            0x0208 => "the session cannot span this portal",
            0x0209 => "the type of session is not supported",
            0x020a => "there is no such session",
            0x020b => "not acceptable during login",
            0x0300 => "an error of the target",
            0x0301 => "the target is not available",
            0x0302 => "the target is out of resources",
            _ => "for a reason that is not known",
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (status {:#06x})", self.text(), self.0)
    }
}
