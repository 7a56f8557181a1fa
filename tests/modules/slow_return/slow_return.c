// SPDX-License-Identifier: GPL-2.0
/*
 * slow_return: as long as it is loaded, a function returns late: what it has done is there
 * for others to see, and its caller does not go on yet.
 *
 * function  its name
 * ms        how late, busy waiting
 * calls     how many returned late
 */
#include <linux/atomic.h>
#include <linux/delay.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>

static char *function;
module_param(function, charp, 0444);
static unsigned int ms = 50;
module_param(ms, uint, 0444);

static atomic_t calls;

static int calls_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", atomic_read(&calls));
}

static const struct kernel_param_ops calls_ops = { .get = calls_get };
module_param_cb(calls, &calls_ops, NULL, 0444);

static int returns(struct kretprobe_instance *instance, struct pt_regs *regs)
{
	atomic_inc(&calls);
	mdelay(ms);
	return 0;
}

static struct kretprobe probe = { .handler = returns, .maxactive = 16 };

static int __init slow_return_init(void)
{
	probe.kp.symbol_name = function;
	return function ? register_kretprobe(&probe) : -EINVAL;
}

static void __exit slow_return_exit(void)
{
	unregister_kretprobe(&probe);
}

module_init(slow_return_init);
module_exit(slow_return_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("A function returns late, for tests");
