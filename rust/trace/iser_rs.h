/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tracepoints, called by rust/trace.rs. Documentation/observability.rst says what
 * is in them. Texts come with their length, without a zero at the end.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM iser_rs

#if !defined(IB_ISER_RS_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define IB_ISER_RS_TRACE_H

#include <linux/tracepoint.h>

/* The texts come from Rust, which does not end them. */
#define ISER_RS_TEXT(name) __string_len(name, name, name##_len)

TRACE_EVENT(connection_state,
	TP_PROTO(u32 connection, int session, const char *state, u32 state_len,
		 const char *portal, u32 portal_len, const char *target, u32 target_len),
	TP_ARGS(connection, session, state, state_len, portal, portal_len, target, target_len),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		ISER_RS_TEXT(state)
		ISER_RS_TEXT(portal)
		ISER_RS_TEXT(target)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__assign_str(state);
		__assign_str(portal);
		__assign_str(target);
	),
	TP_printk("connection=%u session=%d state=%s portal=%s target=%s",
		  __entry->connection, __entry->session, __get_str(state),
		  __get_str(portal), __get_str(target))
);

TRACE_EVENT(cm_event,
	TP_PROTO(u32 connection, int status, const char *event, u32 event_len,
		 const char *portal, u32 portal_len),
	TP_ARGS(connection, status, event, event_len, portal, portal_len),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, status)
		ISER_RS_TEXT(event)
		ISER_RS_TEXT(portal)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->status = status;
		__assign_str(event);
		__assign_str(portal);
	),
	TP_printk("connection=%u event=\"%s\" status=%d portal=%s",
		  __entry->connection, __get_str(event), __entry->status, __get_str(portal))
);

TRACE_EVENT(login,
	TP_PROTO(u32 connection, int session, bool response, u32 stage, u32 next_stage,
		 bool transit, u32 status),
	TP_ARGS(connection, session, response, stage, next_stage, transit, status),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		__field(bool, response)
		__field(u32, stage)
		__field(u32, next_stage)
		__field(bool, transit)
		__field(u32, status)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__entry->response = response;
		__entry->stage = stage;
		__entry->next_stage = next_stage;
		__entry->transit = transit;
		__entry->status = status;
	),
	TP_printk("connection=%u session=%d %s stage=%u next_stage=%u transit=%d status=0x%04x",
		  __entry->connection, __entry->session,
		  __entry->response ? "response" : "request", __entry->stage,
		  __entry->next_stage, __entry->transit, __entry->status)
);

TRACE_EVENT(command_posted,
	TP_PROTO(u32 connection, int session, u32 itt, bool write, u64 bytes, u32 segments,
		 u64 immediate, u64 unsolicited, bool registered, u32 stag),
	TP_ARGS(connection, session, itt, write, bytes, segments, immediate, unsolicited,
		registered, stag),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		__field(u32, itt)
		__field(bool, write)
		__field(u64, bytes)
		__field(u32, segments)
		__field(u64, immediate)
		__field(u64, unsolicited)
		__field(bool, registered)
		__field(u32, stag)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__entry->itt = itt;
		__entry->write = write;
		__entry->bytes = bytes;
		__entry->segments = segments;
		__entry->immediate = immediate;
		__entry->unsolicited = unsolicited;
		__entry->registered = registered;
		__entry->stag = stag;
	),
	TP_printk("connection=%u session=%d itt=0x%x %s bytes=%llu segments=%u immediate=%llu unsolicited=%llu registered=%d stag=0x%x",
		  __entry->connection, __entry->session, __entry->itt,
		  !__entry->bytes ? "none" : __entry->write ? "write" : "read",
		  __entry->bytes, __entry->segments, __entry->immediate,
		  __entry->unsolicited, __entry->registered, __entry->stag)
);

TRACE_DEFINE_ENUM(ISER_RS_NOT_REGISTERED);
TRACE_DEFINE_ENUM(ISER_RS_REMOTELY);
TRACE_DEFINE_ENUM(ISER_RS_LOCALLY);

TRACE_EVENT(response,
	TP_PROTO(u32 connection, int session, u32 itt, u32 response, u32 status, s64 residual,
		 u32 invalidated),
	TP_ARGS(connection, session, itt, response, status, residual, invalidated),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		__field(u32, itt)
		__field(u32, response)
		__field(u32, status)
		__field(s64, residual)
		__field(u32, invalidated)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__entry->itt = itt;
		__entry->response = response;
		__entry->status = status;
		__entry->residual = residual;
		__entry->invalidated = invalidated;
	),
	TP_printk("connection=%u session=%d itt=0x%x response=0x%02x status=0x%02x residual=%lld invalidated=%s",
		  __entry->connection, __entry->session, __entry->itt, __entry->response,
		  __entry->status, __entry->residual,
		  __print_symbolic(__entry->invalidated,
				   { ISER_RS_NOT_REGISTERED, "none" },
				   { ISER_RS_REMOTELY, "remotely" },
				   { ISER_RS_LOCALLY, "locally" }))
);

TRACE_EVENT(fence_begin,
	TP_PROTO(u32 connection, int session),
	TP_ARGS(connection, session),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
	),
	TP_printk("connection=%u session=%d", __entry->connection, __entry->session)
);

TRACE_EVENT(fence_done,
	TP_PROTO(u32 connection, int session, bool ended),
	TP_ARGS(connection, session, ended),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		__field(bool, ended)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__entry->ended = ended;
	),
	TP_printk("connection=%u session=%d ended=%d",
		  __entry->connection, __entry->session, __entry->ended)
);

TRACE_EVENT(error_handler,
	TP_PROTO(u32 connection, int session, s64 itt, const char *handler, u32 handler_len,
		 const char *step, u32 step_len),
	TP_ARGS(connection, session, itt, handler, handler_len, step, step_len),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		__field(s64, itt)
		ISER_RS_TEXT(handler)
		ISER_RS_TEXT(step)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__entry->itt = itt;
		__assign_str(handler);
		__assign_str(step);
	),
	/* libtraceevent compares without a sign. */
	TP_printk("connection=%u session=%d itt=%s%llx %s: %s",
		  __entry->connection, __entry->session, __entry->itt >> 63 ? "-" : "0x",
		  __entry->itt >> 63 ? 1 : __entry->itt, __get_str(handler),
		  __get_str(step))
);

TRACE_EVENT(connection_failed,
	TP_PROTO(u32 connection, int session, const char *reason, u32 reason_len,
		 const char *text, u32 text_len, const char *portal, u32 portal_len,
		 const char *target, u32 target_len),
	TP_ARGS(connection, session, reason, reason_len, text, text_len, portal, portal_len,
		target, target_len),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		ISER_RS_TEXT(reason)
		ISER_RS_TEXT(text)
		ISER_RS_TEXT(portal)
		ISER_RS_TEXT(target)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__assign_str(reason);
		__assign_str(text);
		__assign_str(portal);
		__assign_str(target);
	),
	TP_printk("connection=%u session=%d reason=%s text=\"%s\" portal=%s target=%s",
		  __entry->connection, __entry->session, __get_str(reason), __get_str(text),
		  __get_str(portal), __get_str(target))
);

TRACE_EVENT(device_removal,
	TP_PROTO(u32 connection, int session, const char *device, u32 device_len,
		 const char *portal, u32 portal_len),
	TP_ARGS(connection, session, device, device_len, portal, portal_len),
	TP_STRUCT__entry(
		__field(u32, connection)
		__field(int, session)
		ISER_RS_TEXT(device)
		ISER_RS_TEXT(portal)
	),
	TP_fast_assign(
		__entry->connection = connection;
		__entry->session = session;
		__assign_str(device);
		__assign_str(portal);
	),
	TP_printk("connection=%u session=%d device=%s portal=%s",
		  __entry->connection, __entry->session, __get_str(device), __get_str(portal))
);

#undef ISER_RS_TEXT

#endif /* IB_ISER_RS_TRACE_H */

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE iser_rs
#include <trace/define_trace.h>
