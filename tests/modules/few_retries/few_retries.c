// SPDX-License-Identifier: GPL-2.0
/*
 * few_retries: as long as it is loaded, whoever connects asks for one retry of what is not
 * acknowledged. 7, which drivers ask for, is seven on hardware, and for ever with rxe.
 */
#include <linux/kprobes.h>
#include <linux/module.h>
#include <rdma/rdma_cm.h>

static int connecting(struct kprobe *probe, struct pt_regs *regs)
{
	struct rdma_conn_param *param = (void *)regs_get_kernel_argument(regs, 1);

	param->retry_count = 1;
	return 0;
}

static struct kprobe probe = {
	.symbol_name = "rdma_connect_locked",
	.pre_handler = connecting,
};

static int __init few_retries_init(void)
{
	return register_kprobe(&probe);
}

static void __exit few_retries_exit(void)
{
	unregister_kprobe(&probe);
}

module_init(few_retries_init);
module_exit(few_retries_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("Test: a connection that does not try for ever");
