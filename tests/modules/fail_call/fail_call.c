// SPDX-License-Identifier: GPL-2.0
/*
 * fail_call: one call of a function fails, without being run.
 *
 *   echo "FUNCTION NTH ERROR TGID START END" >/sys/module/fail_call/parameters/arm
 *
 * The NTH call that counts returns ERROR. One counts that process TGID makes, or that has a
 * return address from START to END on its stack (see /proc/modules for a module's). Nothing
 * of the code under test is built for this.
 *
 * calls  how many counted since then, in vain unless failed is set
 * failed whether it has happened
 * inside whether that call had such a return address
 *
 * should_failslab and should_fail_alloc_page are how to have an allocation fail; those that
 * must not are left alone and do not count.
 */
#include <linux/gfp.h>
#include <linux/kprobes.h>
#include <linux/module.h>
#include <linux/moduleparam.h>
#include <linux/sched.h>
#include <linux/stacktrace.h>
#include <linux/string.h>

static struct {
	char function[128];
	unsigned int nth;
	int error;
	int tgid;
	unsigned long start, end;
	bool is_slab, is_page;
} fault;

static bool armed;
static atomic_t calls;

static bool failed;
module_param(failed, bool, 0444);

static bool inside;
module_param(inside, bool, 0444);

static int calls_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", atomic_read(&calls));
}

static const struct kernel_param_ops calls_ops = { .get = calls_get };
module_param_cb(calls, &calls_ops, NULL, 0444);

static noinline notrace void do_nothing(void)
{
	barrier();
}

static bool is_inside(void)
{
	unsigned long stack[48];
	unsigned int i, n;

	n = stack_trace_save(stack, ARRAY_SIZE(stack), 0);
	for (i = 0; i < n; i++)
		if (stack[i] >= fault.start && stack[i] < fault.end)
			return true;
	return false;
}

static bool counts(void)
{
	return (in_task() && task_tgid_nr(current) == fault.tgid) || is_inside();
}

static int before(struct kprobe *probe, struct pt_regs *regs)
{
	gfp_t gfp = fault.is_slab ? regs->si : fault.is_page ? regs->di : 0;

	if (!smp_load_acquire(&armed) || (gfp & __GFP_NOFAIL) || !counts())
		return 0;
	if (atomic_inc_return(&calls) != fault.nth)
		return 0;
	WRITE_ONCE(armed, false);
	failed = true;
	inside = is_inside();
	regs->ax = fault.error;
	regs->ip = (unsigned long)do_nothing;
	return 1;
}

/* A probe that is optimised to a jump could not change where it goes. */
static void after(struct kprobe *probe, struct pt_regs *regs, unsigned long flags)
{
}

static struct kprobe probe;

/* Stays until another function is asked for: probing is not free of risk by itself. */
static int probe_function(const char *function)
{
	int error;

	if (!strcmp(function, fault.function))
		return 0;
	if (fault.function[0])
		unregister_kprobe(&probe);
	strscpy(fault.function, function);
	fault.is_slab = !strcmp(function, "should_failslab");
	fault.is_page = !strcmp(function, "should_fail_alloc_page");
	probe = (struct kprobe) {
		.symbol_name = fault.function,
		.pre_handler = before,
		.post_handler = after,
	};
	error = register_kprobe(&probe);
	if (error)
		fault.function[0] = 0;
	return error;
}

static int arm_set(const char *text, const struct kernel_param *kp)
{
	char function[sizeof(fault.function)];
	unsigned long start, end;
	unsigned int nth;
	int failure, tgid, error;

	WRITE_ONCE(armed, false);
	synchronize_rcu();
	if (sscanf(text, "%127s %u %d %d %lx %lx", function, &nth, &failure, &tgid, &start, &end) != 6)
		return sysfs_streq(text, "off") ? 0 : -EINVAL;
	error = probe_function(function);
	if (error)
		return error;
	fault.nth = nth;
	fault.error = failure;
	fault.tgid = tgid;
	fault.start = start;
	fault.end = end;
	atomic_set(&calls, 0);
	failed = false;
	smp_store_release(&armed, true);
	return 0;
}

static const struct kernel_param_ops arm_ops = { .set = arm_set };
module_param_cb(arm, &arm_ops, NULL, 0200);

static void __exit fail_call_exit(void)
{
	if (fault.function[0])
		unregister_kprobe(&probe);
}

static int __init fail_call_init(void)
{
	return 0;
}

module_init(fail_call_init);
module_exit(fail_call_exit);
MODULE_LICENSE("GPL");
MODULE_DESCRIPTION("One call of a function fails, for tests");
