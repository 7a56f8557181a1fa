// SPDX-License-Identifier: GPL-2.0
/* Helpers for <scsi/libiscsi.h> and <scsi/scsi_transport_iscsi.h>. */
#include <linux/module.h>
#include <linux/namei.h>
#include <linux/path.h>
#include <linux/slab.h>
#include <scsi/scsi_device.h>

#include "helpers.h"

struct Scsi_Host *iser_rs_session_to_host(struct iscsi_cls_session *session)
{
	return iscsi_session_to_shost(session);
}

struct iscsi_session *iser_rs_session_of_command(struct scsi_cmnd *sc)
{
	return starget_to_session(scsi_target(sc->device))->dd_data;
}

struct iscsi_task *iser_rs_task_of_command(struct scsi_cmnd *sc)
{
	return iscsi_cmd(sc)->task;
}

struct iscsi_session *iser_rs_session_libiscsi(struct iscsi_cls_session *session)
{
	return session->dd_data;
}

void iser_rs_lock_forward(struct iscsi_session *session)
{
	spin_lock_bh(&session->frwd_lock);
}

void iser_rs_unlock_forward(struct iscsi_session *session)
{
	spin_unlock_bh(&session->frwd_lock);
}

void iser_rs_lock_back(struct iscsi_session *session)
{
	spin_lock_bh(&session->back_lock);
}

void iser_rs_unlock_back(struct iscsi_session *session)
{
	spin_unlock_bh(&session->back_lock);
}

/* Guards dd_data of all endpoints, which changes once in the life of each. */
static DEFINE_SPINLOCK(endpoints_lock);

void iser_rs_lock_endpoints(void)
{
	spin_lock(&endpoints_lock);
}

void iser_rs_unlock_endpoints(void)
{
	spin_unlock(&endpoints_lock);
}

bool iser_rs_try_module_get(struct module *module)
{
	return try_module_get(module);
}

void iser_rs_module_put(struct module *module)
{
	module_put(module);
}

/* Whether a transport with that name is registered: its class device is there. */
bool iser_rs_transport_exists(const char *name)
{
	struct path path;
	char *file;
	int ret;

	file = kasprintf(GFP_KERNEL, "/sys/class/iscsi_transport/%s", name);
	if (!file)
		return false;
	ret = kern_path(file, 0, &path);
	kfree(file);
	if (ret)
		return false;
	path_put(&path);
	return true;
}
