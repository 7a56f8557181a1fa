// SPDX-License-Identifier: GPL-2.0
/* Helpers for <linux/workqueue.h>. */
#include <linux/workqueue.h>

#include "helpers.h"

struct workqueue_struct *iser_rs_alloc_workqueue(void)
{
	return alloc_workqueue("ib_iser_rs", WQ_UNBOUND | WQ_MEM_RECLAIM, 0);
}

void iser_rs_destroy_workqueue(struct workqueue_struct *queue)
{
	destroy_workqueue(queue);
}
