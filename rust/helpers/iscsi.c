// SPDX-License-Identifier: GPL-2.0
/* Helpers for <scsi/libiscsi.h> and <scsi/scsi_transport_iscsi.h>. */
#include <linux/list.h>
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

u32 iser_rs_session_host_number(struct iscsi_cls_session *session)
{
	return iscsi_session_to_shost(session)->host_no;
}

u32 iser_rs_session_number(struct iscsi_cls_session *session)
{
	return session->sid;
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

/*
 * The endpoints of the module's transport. What an endpoint is for is in the
 * memory behind it; an endpoint that is not in the list has nothing any more.
 */
struct endpoint_data {
	struct list_head list;
	struct iscsi_endpoint *ep;
	void *data;
};

static LIST_HEAD(endpoints);
static DEFINE_SPINLOCK(endpoints_lock);

void iser_rs_lock_endpoints(void)
{
	spin_lock(&endpoints_lock);
}

void iser_rs_unlock_endpoints(void)
{
	spin_unlock(&endpoints_lock);
}

struct iscsi_endpoint *iser_rs_create_endpoint(void)
{
	return iscsi_create_endpoint(sizeof(struct endpoint_data));
}

void iser_rs_endpoint_add(struct iscsi_endpoint *ep, void *data)
{
	struct endpoint_data *d = ep->dd_data;

	d->ep = ep;
	spin_lock(&endpoints_lock);
	d->data = data;
	list_add_tail(&d->list, &endpoints);
	spin_unlock(&endpoints_lock);
}

/* With the lock held: what iser_rs_endpoint_add() was given, until it is taken. */
void *iser_rs_endpoint_data(struct iscsi_endpoint *ep)
{
	struct endpoint_data *d = ep->dd_data;

	return d->data;
}

void *iser_rs_endpoint_take(struct iscsi_endpoint *ep)
{
	struct endpoint_data *d = ep->dd_data;
	void *data;

	spin_lock(&endpoints_lock);
	data = d->data;
	d->data = NULL;
	if (data)
		list_del(&d->list);
	spin_unlock(&endpoints_lock);
	return data;
}

struct iscsi_endpoint *iser_rs_endpoint_first(void)
{
	struct endpoint_data *d;

	spin_lock(&endpoints_lock);
	d = list_first_entry_or_null(&endpoints, struct endpoint_data, list);
	spin_unlock(&endpoints_lock);
	return d ? d->ep : NULL;
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
