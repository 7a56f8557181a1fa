// SPDX-License-Identifier: GPL-2.0

//! Which counters of the module are which metrics. Names and labels are not to change.

/// A counter of debugfs, and the labels that tell it from the others of its metric.
pub type Member = (&'static str, &'static str);

/// The metrics of a connection's counters, with what they mean.
pub const COUNTERS: &[(&str, &str, &[Member])] = &[
    (
        "iser_rs_commands_total",
        "SCSI commands sent, by the direction of their data.",
        &[
            ("commands_read", "direction=\"read\""),
            ("commands_write", "direction=\"write\""),
            ("commands_none", "direction=\"none\""),
        ],
    ),
    (
        "iser_rs_bytes_total",
        "Bytes of data of SCSI commands.",
        &[
            ("bytes_read", "direction=\"read\""),
            ("bytes_write", "direction=\"write\""),
        ],
    ),
    (
        "iser_rs_responses_total",
        "SCSI responses received.",
        &[("responses", "")],
    ),
    (
        "iser_rs_registered_commands_total",
        "Commands for which memory was registered.",
        &[("registered_commands", "")],
    ),
    (
        "iser_rs_immediate_commands_total",
        "Writes that carried immediate data.",
        &[("immediate_commands", "")],
    ),
    (
        "iser_rs_immediate_bytes_total",
        "Bytes sent as immediate data.",
        &[("immediate_bytes", "")],
    ),
    (
        "iser_rs_unsolicited_pdus_total",
        "Unsolicited Data-Out PDUs sent.",
        &[("unsolicited_pdus", "")],
    ),
    (
        "iser_rs_control_pdus_total",
        "PDUs that belong to no SCSI command.",
        &[
            ("control_pdus_sent", "direction=\"sent\""),
            ("control_pdus_received", "direction=\"received\""),
        ],
    ),
    (
        "iser_rs_work_requests_total",
        "Work requests posted.",
        &[
            ("wr_send", "kind=\"send\""),
            ("wr_reg", "kind=\"register\""),
            ("wr_local_inv", "kind=\"invalidate\""),
            ("wr_receive", "kind=\"receive\""),
        ],
    ),
    (
        "iser_rs_doorbells_total",
        "Calls that posted work requests.",
        &[
            ("doorbells_send", "queue=\"send\""),
            ("doorbells_receive", "queue=\"receive\""),
        ],
    ),
    (
        "iser_rs_completions_total",
        "Completions of work requests.",
        &[
            ("completions_send", "queue=\"send\""),
            ("completions_receive", "queue=\"receive\""),
        ],
    ),
    (
        "iser_rs_invalidations_total",
        "Registrations invalidated, by which side.",
        &[
            ("remote_invalidations", "by=\"target\""),
            ("local_invalidations", "by=\"initiator\""),
        ],
    ),
    (
        "iser_rs_send_queue_stalls_total",
        "Times that the send queue had no room.",
        &[("send_queue_stalls", "")],
    ),
    (
        "iser_rs_fences_total",
        "Commands whose memory was taken back from the target by an error handler.",
        &[("fences", "")],
    ),
    (
        "iser_rs_aborts_total",
        "Commands aborted.",
        &[("aborts", "")],
    ),
    (
        "iser_rs_resets_total",
        "Resets of logical units, targets and sessions.",
        &[("resets", "")],
    ),
    (
        "iser_rs_protocol_errors_total",
        "PDUs refused because they break the protocol.",
        &[("protocol_errors", "")],
    ),
];

/// The module's own, since it was loaded.
pub const TOTALS: &[(&str, &str, &str)] = &[
    (
        "iser_rs_connections_made_total",
        "Connections made since the module was loaded.",
        "connections_made",
    ),
    (
        "iser_rs_reconnects_total",
        "Connections made anew for a session since the module was loaded.",
        "reconnects",
    ),
    (
        "iser_rs_connections_lost_total",
        "Connections lost since the module was loaded.",
        "connections_failed",
    ),
    (
        "iser_rs_connects_failed_total",
        "Connections that could not be made since the module was loaded.",
        "connects_failed",
    ),
];
