// SPDX-License-Identifier: GPL-2.0
/*
 * A plugin of QEMU's emulation: how often each piece of the guest kernel's code was run.
 *
 *   -plugin insns.so,pipe=P -chardev pipe,id=C,path=P -device virtserialport,chardev=C,name=insns
 *
 * The guest writes a line with the name of a file to the port, and reads a line back once
 * the file has, for each block of code that has run since the last time, a line with its
 * address, the lengths of its instructions in bytes, a hexadecimal digit each, and how often it
 * was run.
 *
 * Debian has no package with the header, so what is used of it is declared here.
 */
#include <inttypes.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t qemu_plugin_id_t;
struct qemu_plugin_tb;
struct qemu_plugin_insn;
typedef void (*tb_trans_cb)(qemu_plugin_id_t id, struct qemu_plugin_tb *tb);
typedef void (*udata_cb)(unsigned int vcpu, void *udata);

extern void qemu_plugin_register_vcpu_tb_trans_cb(qemu_plugin_id_t id, tb_trans_cb cb);
extern void qemu_plugin_register_vcpu_tb_exec_cb(struct qemu_plugin_tb *tb, udata_cb cb,
						 int flags, void *udata);
extern size_t qemu_plugin_tb_n_insns(const struct qemu_plugin_tb *tb);
extern uint64_t qemu_plugin_tb_vaddr(const struct qemu_plugin_tb *tb);
extern struct qemu_plugin_insn *qemu_plugin_tb_get_insn(const struct qemu_plugin_tb *tb, size_t i);
extern size_t qemu_plugin_insn_size(const struct qemu_plugin_insn *insn);

__attribute__((visibility("default"))) int qemu_plugin_version = PLUGIN_VERSION;

#define KERNEL 0xffffffff80000000ull

struct block {
	struct block *next;
	uint64_t address, count;
	char lengths[];
};

static struct block *blocks;
static char in[4096], out[4096];

static void executed(unsigned int vcpu, void *udata)
{
	struct block *b = udata;

	__atomic_fetch_add(&b->count, 1, __ATOMIC_RELAXED);
}

static void translated(qemu_plugin_id_t id, struct qemu_plugin_tb *tb)
{
	uint64_t address = qemu_plugin_tb_vaddr(tb);
	size_t i, n = qemu_plugin_tb_n_insns(tb);
	struct block *b;

	if (address < KERNEL)
		return;
	b = calloc(1, sizeof(*b) + n + 1);
	if (!b)
		abort();
	b->address = address;
	for (i = 0; i < n; i++)
		b->lengths[i] = "0123456789abcdef"[qemu_plugin_insn_size(qemu_plugin_tb_get_insn(tb, i)) & 15];
	b->next = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE);
	while (!__atomic_compare_exchange_n(&blocks, &b->next, b, false, __ATOMIC_RELEASE,
					    __ATOMIC_ACQUIRE))
		;
	qemu_plugin_register_vcpu_tb_exec_cb(tb, executed, 0, b);
}

static bool dump(const char *path)
{
	FILE *f = fopen(path, "w");
	struct block *b;

	if (!f)
		return false;
	for (b = __atomic_load_n(&blocks, __ATOMIC_ACQUIRE); b; b = b->next) {
		uint64_t count = __atomic_exchange_n(&b->count, 0, __ATOMIC_RELAXED);

		if (count)
			fprintf(f, "%" PRIx64 " %s %" PRIu64 "\n", b->address, b->lengths, count);
	}
	return fclose(f) == 0;
}

static void *serve(void *unused)
{
	FILE *from = fopen(out, "r"), *to = fopen(in, "w");
	char line[4096];

	while (from && to && fgets(line, sizeof(line), from)) {
		line[strcspn(line, "\r\n")] = 0;
		fprintf(to, "%s\n", dump(line) ? "ok" : "failed");
		fflush(to);
	}
	return NULL;
}

__attribute__((visibility("default")))
int qemu_plugin_install(qemu_plugin_id_t id, const void *info, int argc, char **argv)
{
	pthread_t thread;

	if (argc != 1 || strncmp(argv[0], "pipe=", 5))
		return -1;
	snprintf(in, sizeof(in), "%s.in", argv[0] + 5);
	snprintf(out, sizeof(out), "%s.out", argv[0] + 5);
	qemu_plugin_register_vcpu_tb_trans_cb(id, translated);
	return pthread_create(&thread, NULL, serve, NULL);
}
