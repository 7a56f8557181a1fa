// SPDX-License-Identifier: GPL-2.0
/* Helpers for <scsi/scsi_host.h> and <scsi/scsi_cmnd.h>. */
#include "helpers.h"

void iser_rs_host_set(struct Scsi_Host *shost, struct scsi_transport_template *tt,
		      const struct iser_rs_host_limits *limits)
{
	shost->transportt = tt;
	shost->can_queue = limits->can_queue;
	shost->cmd_per_lun = min(limits->cmd_per_lun, limits->can_queue);
	shost->max_lun = limits->max_lun;
	shost->max_id = 0;
	shost->max_channel = 0;
	shost->max_cmd_len = 16;
	shost->sg_tablesize = limits->sg_tablesize;
	shost->max_sectors = limits->max_sectors;
	shost->virt_boundary_mask = limits->virt_boundary_mask;
}

void iser_rs_host_memory(struct Scsi_Host *shost, u32 *sg_tablesize, u32 *boundary)
{
	*sg_tablesize = shost->sg_tablesize;
	*boundary = shost->virt_boundary_mask;
}
