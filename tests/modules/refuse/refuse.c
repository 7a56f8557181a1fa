// SPDX-License-Identifier: GPL-2.0
/*
 * refuse: listens at a port of all RDMA devices and refuses whoever comes.
 *
 *   modprobe refuse port=3262
 *   echo 12 >/sys/module/refuse/parameters/reason	# enum ib_cm_rej_reason, 0 to 255
 *
 * User space, that is the hostile target, can give but two of the reasons.
 *
 * refused  how often it did
 */
#include <linux/in.h>
#include <linux/module.h>
#include <net/net_namespace.h>
#include <rdma/rdma_cm.h>

static ushort port = 3262;
module_param(port, ushort, 0444);

static u8 reason = 28;
module_param(reason, byte, 0644);

static uint refused;
module_param(refused, uint, 0444);

static struct rdma_cm_id *listener;

static int cm_event(struct rdma_cm_id *id, struct rdma_cm_event *event)
{
	if (event->event != RDMA_CM_EVENT_CONNECT_REQUEST)
		return 0;
	refused++;
	rdma_reject(id, NULL, 0, reason);
	/* Has the connection manager destroy the request's ID. */
	return -ECONNREFUSED;
}

static int __init refuse_init(void)
{
	struct sockaddr_in any = { .sin_family = AF_INET, .sin_port = htons(port) };
	int ret;

	listener = rdma_create_id(&init_net, cm_event, NULL, RDMA_PS_TCP, IB_QPT_RC);
	if (IS_ERR(listener))
		return PTR_ERR(listener);
	ret = rdma_bind_addr(listener, (struct sockaddr *)&any);
	if (!ret)
		ret = rdma_listen(listener, 8);
	if (ret)
		rdma_destroy_id(listener);
	return ret;
}
module_init(refuse_init);

static void __exit refuse_exit(void)
{
	rdma_destroy_id(listener);
}
module_exit(refuse_exit);

MODULE_DESCRIPTION("Refuses RDMA connections for a reason of choice");
MODULE_LICENSE("GPL");
