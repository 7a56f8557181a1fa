// SPDX-License-Identifier: GPL-2.0

//! Mutations of messages, drawn from a small generator, so that a seed gives the same run on every
//! machine.

use crate::seeds;

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// A number less than `bound`, or zero if `bound` is.
    pub fn below(&mut self, bound: usize) -> usize {
        (self.bits() % bound.max(1) as u64) as usize
    }

    /// A byte that is likely to be at some limit.
    fn byte(&mut self) -> u8 {
        const LIMITS: [u8; 12] = [0, 1, 2, 3, 4, 0x10, 0x20, 0x3f, 0x40, 0x7f, 0x80, 0xff];
        match self.below(2) {
            0 => LIMITS[self.below(LIMITS.len())],
            _ => self.bits() as u8,
        }
    }
}

/// Offsets of the bytes that decide something.
const DECISIVE: [usize; 15] = [0, 28, 29, 30, 31, 32, 33, 34, 35, 44, 47, 64, 76, 77, 78];

/// Changes a message at one to four places.
pub fn mutate(random: &mut Random, message: &mut Vec<u8>) {
    for _ in 0..=random.below(4) {
        mutate_once(random, message);
    }
}

fn mutate_once(random: &mut Random, message: &mut Vec<u8>) {
    match random.below(9) {
        // A field that matters.
        0 | 1 => {
            let at = DECISIVE[random.below(DECISIVE.len())];
            let byte = random.byte();
            if let Some(field) = message.get_mut(at) {
                *field = byte;
            }
        }
        // Another opcode, mostly one that a target may send.
        2 => {
            if let Some(opcode) = message.get_mut(28) {
                *opcode = seeds::OPCODES[random.below(8)] | (random.bits() as u8 & 0xc0);
            }
        }
        // DataSegmentLength around what was received.
        3 => {
            if message.len() >= 76 {
                let length = (message.len() - 76 + 6).saturating_sub(random.below(12));
                seeds::claim(message, length);
            }
        }
        // A bit, or a byte, anywhere.
        4 => {
            let at = random.below(message.len());
            let bit = 1 << random.below(8);
            if let Some(byte) = message.get_mut(at) {
                *byte ^= bit;
            }
        }
        5 => {
            let at = random.below(message.len());
            let value = random.byte();
            if let Some(byte) = message.get_mut(at) {
                *byte = value;
            }
        }
        // A length around the end, or any.
        6 => {
            let keep = message.len().saturating_sub(random.below(6));
            message.truncate(keep);
        }
        7 => {
            let more = random.below(6);
            message.extend((0..more).map(|_| random.bits() as u8));
        }
        _ => {
            let keep = random.below(message.len() + 1);
            message.truncate(keep);
        }
    }
}
