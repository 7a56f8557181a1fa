// SPDX-License-Identifier: GPL-2.0
/* A helper for <linux/jump_label.h>. */
#include <linux/jump_label.h>

#include "helpers.h"

/* Also read by rust/latency.rs, without a call. */
DEFINE_STATIC_KEY_FALSE(iser_rs_latency);

bool iser_rs_latency_on(void)
{
	return static_key_enabled(&iser_rs_latency);
}

void iser_rs_latency_set(bool on)
{
	if (on)
		static_branch_enable(&iser_rs_latency);
	else
		static_branch_disable(&iser_rs_latency);
}
