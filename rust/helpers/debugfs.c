// SPDX-License-Identifier: GPL-2.0
/* Helpers for <linux/debugfs.h>. */
#include <linux/debugfs.h>
#include <linux/kstrtox.h>
#include <linux/seq_file.h>

#include "helpers.h"

static int show(struct seq_file *m, void *unused)
{
	const struct iser_rs_file *file = m->private;

	file->show(m, file);
	return 0;
}

static int open(struct inode *inode, struct file *file)
{
	return single_open(file, show, inode->i_private);
}

static ssize_t write(struct file *file, const char __user *from, size_t len, loff_t *pos)
{
	const struct iser_rs_file *f = ((struct seq_file *)file->private_data)->private;
	bool on;
	int ret = kstrtobool_from_user(from, len, &on);

	if (ret)
		return ret;
	f->set(f, on);
	return len;
}

/*
 * Whoever has a file open keeps the module: closing the file comes back to these
 * operations. The kernel crate's debugfs does not say whose they are.
 */
static const struct file_operations ops = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.llseek = seq_lseek,
	.release = single_release,
};

static const struct file_operations ops_with_set = {
	.owner = THIS_MODULE,
	.open = open,
	.read = seq_read,
	.write = write,
	.llseek = seq_lseek,
	.release = single_release,
};

/* The directory of the module. What looks into a kernel from outside begins here: tools/drgn. */
struct dentry *iser_rs_debugfs_root;
const unsigned int iser_rs_hz = HZ;

/* A directory in another one at the top, which must be there, or at the top. */
struct dentry *iser_rs_debugfs_dir(const char *parent, const char *name)
{
	struct dentry *in = NULL, *dir;

	if (parent) {
		in = debugfs_lookup(parent, NULL);
		if (IS_ERR_OR_NULL(in))
			return NULL;
	}
	dir = debugfs_create_dir(name, in);
	dput(in);
	if (!parent && !IS_ERR(dir))
		iser_rs_debugfs_root = dir;
	return dir;
}

void iser_rs_debugfs_file(struct dentry *dir, const char *name, const struct iser_rs_file *file)
{
	debugfs_create_file(name, file->set ? 0600 : 0400, dir, (void *)file,
			    file->set ? &ops_with_set : &ops);
}

void iser_rs_debugfs_remove(struct dentry *dir)
{
	if (dir == iser_rs_debugfs_root)
		iser_rs_debugfs_root = NULL;
	debugfs_remove(dir);
}
