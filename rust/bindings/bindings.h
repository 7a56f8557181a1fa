/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel interfaces for which the module generates its own bindings. */
#include <linux/version.h>
#include <linux/module.h>
#include <linux/inet.h>
#include <linux/socket.h>
#include <linux/workqueue.h>

#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>

#include <scsi/iscsi_if.h>
#include <scsi/iscsi_proto.h>
#include <scsi/libiscsi.h>
#include <scsi/scsi.h>
#include <scsi/scsi_cmnd.h>
#include <scsi/scsi_device.h>
#include <scsi/scsi_host.h>
#include <scsi/scsi_transport_iscsi.h>

#include "../helpers/helpers.h"
#include "../trace/iser_rs.h"
