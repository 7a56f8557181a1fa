// SPDX-License-Identifier: GPL-2.0

//! Properties of any message.

use proptest::{collection::vec, prelude::*, sample::select};

use crate::{
    mutate::{mutate, Random},
    oracle::{check_pdu, check_private_data},
    seeds::{self, OPCODES},
    wire::*,
};

fn buffer() -> impl Strategy<Value = Option<RemoteBuffer>> {
    any::<Option<(u32, u64)>>()
        .prop_map(|buffer| buffer.map(|(stag, base)| RemoteBuffer { stag, base }))
}

prop_compose! {
    /// Any bytes in all fields that no rule is about, and data that the opcode allows.
    fn valid()(
        opcode in select(&OPCODES[..]),
        upper_bits in 0..4u8,
        ignored in any::<[u8; 27]>(),
        mut bhs in any::<[[u8; 16]; 3]>(),
        data in vec(any::<u8>(), 48..200),
        padding in 0..4usize,
    ) -> Vec<u8> {
        let data = if [0x20, 0x22, 0x26].contains(&opcode) { &[] } else { &data[..] };
        let padding = padding.min(data.len().next_multiple_of(4) - data.len());
        bhs[0][0] = opcode | upper_bits << 6;
        bhs[0][4] = 0;
        // No CHECK CONDITION: data would have to begin with the length of sense.
        if opcode == 0x21 && bhs[0][2..4] == [0, 2] {
            bhs[0][3] = 0;
        }

        let mut message = vec![0x10 | ignored[0] & 3];
        message.extend(ignored);
        message.extend(bhs.as_flattened());
        seeds::claim(&mut message, data.len());
        message.extend(data);
        message.extend(vec![0x77; padding]);
        message
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 4096,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_bytes(message in vec(any::<u8>(), 0..300)) {
        check_pdu(&message);
        check_private_data(&message);
    }

    /// Bytes that get past the first checks, which few of the above do.
    #[test]
    fn any_bytes_with_a_likely_header(
        first in 0x0e..0x15u8,
        opcode in select(&OPCODES[..]),
        status in select(&[0, 2, 8][..]),
        difference in -5..5isize,
        mut message in vec(any::<u8>(), 76..300),
    ) {
        message[0] = first;
        message[28] = opcode;
        message[30] = 0;
        message[31] = status;
        message[32] = 0;
        let length = (message.len() - 76).saturating_add_signed(difference);
        seeds::claim(&mut message, length);
        if let Some(high) = message.get_mut(76) {
            *high = 0;
        }
        check_pdu(&message);
    }

    #[test]
    fn mutated_corpus(seed in any::<u64>()) {
        let mut random = Random(seed);
        for mut message in seeds::corpus() {
            mutate(&mut random, &mut message);
            check_pdu(&message);
        }
    }

    #[test]
    fn control_header_round_trip(write in buffer(), read in buffer()) {
        let header = ControlHeader { write, read };
        prop_assert_eq!(ControlHeader::decode(&header.encode()), Ok(header));
    }

    #[test]
    fn capabilities_round_trip(
        zero_based_va: bool,
        send_with_invalidate: bool,
        rest in vec(any::<u8>(), 0..252),
    ) {
        let capabilities = Capabilities { zero_based_va, send_with_invalidate };
        let mut private_data = capabilities.encode().to_vec();
        private_data.extend(rest);
        prop_assert_eq!(Capabilities::decode(&private_data), capabilities);
    }

    #[test]
    fn valid_is_accepted(message in valid()) {
        prop_assert_eq!(check_pdu(&message), None);
    }

    /// One field of a valid message changed: it is refused by the rule about this field, or the
    /// accessor has the new value.
    #[test]
    fn one_field_changed(message in valid(), value in 1..=255u8) {
        let changed = |at: usize, value: u8| {
            let mut changed = message.clone();
            changed[at] = value;
            changed
        };
        let opcode = message[28] & 0x3f;

        let opcode_of_iser = 0x10 ^ value << 4;
        if opcode_of_iser != 0x10 {
            prop_assert_eq!(check_pdu(&changed(0, opcode_of_iser)), Some("iser_opcode"));
        }
        if value & 0x0c != 0 {
            prop_assert_eq!(check_pdu(&changed(0, 0x10 | value & 0x0f)), Some("iser_flags"));
        }
        if !OPCODES.contains(&(value & 0x3f)) {
            prop_assert_eq!(check_pdu(&changed(28, value)), Some("opcode"));
        }
        prop_assert_eq!(check_pdu(&changed(32, value)), Some("ahs_present"));
        prop_assert_eq!(check_pdu(&changed(33, value)), Some("data_segment_length"));
        prop_assert_eq!(check_pdu(&changed(34, message[34] ^ value)), Some("data_segment_length"));

        // The lowest byte can name another length that padding explains. Then it is believed.
        let (claimed, received) = (usize::from(value), message.len() - 76);
        let verdict = check_pdu(&changed(35, value));
        if received < claimed || claimed.next_multiple_of(4) < received {
            prop_assert_eq!(verdict, Some("data_segment_length"));
        } else if opcode == 0x3f && claimed < 48 {
            prop_assert_eq!(verdict, Some("rejected_header"));
        } else {
            prop_assert_eq!(verdict, None);
        }

        let mut longer = message.clone();
        longer.extend([0; 4]);
        prop_assert_eq!(check_pdu(&longer), Some("data_segment_length"));

        if opcode == 0x21 {
            let mut check_condition = changed(31, 2);
            check_condition[30] = 0;
            check_condition[76] = value;
            prop_assert_eq!(check_pdu(&check_condition), Some("sense_length"));
        }

        // Tag, sequence numbers, and what the opcode defines: never a reason to refuse.
        for at in (36..76).chain(1..28) {
            prop_assert_eq!(check_pdu(&changed(at, value)), None);
        }
    }

    #[test]
    fn cut_anywhere(message in valid(), cut in any::<prop::sample::Index>()) {
        let length = cut.index(message.len());
        let verdict = check_pdu(&message[..length]);
        if length < 76 {
            prop_assert_eq!(verdict, Some("too_short"));
        } else if message.len() - length > 3 {
            prop_assert_eq!(verdict, Some("data_segment_length"));
        }
    }
}
