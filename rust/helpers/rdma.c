// SPDX-License-Identifier: GPL-2.0
/* Helpers for <rdma/ib_verbs.h> and <rdma/rdma_cm.h>. */
#include <net/net_namespace.h>

#include "helpers.h"

void iser_rs_device_attr(struct ib_device *dev, struct iser_rs_device_attr *attr)
{
	const struct ib_device_attr *a = &dev->attrs;

	attr->max_cqe = a->max_cqe;
	attr->max_qp_wr = a->max_qp_wr;
	attr->max_send_sge = a->max_send_sge;
	attr->max_fast_reg_page_list_len = a->max_fast_reg_page_list_len;
	attr->max_qp_rd_atom = a->max_qp_rd_atom;
	attr->mem_mgt_extensions = a->device_cap_flags & IB_DEVICE_MEM_MGT_EXTENSIONS;
	attr->sg_gaps_reg = a->kernel_cap_flags & IBK_SG_GAPS_REG;
	attr->iwarp = rdma_protocol_iwarp(dev, rdma_start_port(dev));
}

const char *iser_rs_device_name(struct ib_device *dev)
{
	return dev_name(&dev->dev);
}

struct device *iser_rs_device_parent(struct ib_device *dev)
{
	return dev->dev.parent;
}

struct rdma_cm_id *iser_rs_create_id(rdma_cm_event_handler handler, void *context)
{
	return rdma_create_id(&init_net, handler, context, RDMA_PS_TCP, IB_QPT_RC);
}

struct ib_device *iser_rs_id_device(struct rdma_cm_id *id)
{
	return id->device;
}

void *iser_rs_id_context(struct rdma_cm_id *id)
{
	return id->context;
}

struct ib_qp *iser_rs_id_qp(struct rdma_cm_id *id)
{
	return id->qp;
}

u32 iser_rs_id_port(struct rdma_cm_id *id)
{
	return id->port_num;
}

const struct sockaddr *iser_rs_id_source(struct rdma_cm_id *id)
{
	return (struct sockaddr *)&id->route.addr.src_addr;
}

u32 iser_rs_qp_number(struct ib_qp *qp)
{
	return qp->qp_num;
}

u32 iser_rs_pd_local_dma_lkey(struct ib_pd *pd)
{
	return pd->local_dma_lkey;
}

int iser_rs_post_send(struct ib_qp *qp, const struct ib_send_wr *wr)
{
	return ib_post_send(qp, wr, NULL);
}

int iser_rs_post_recv(struct ib_qp *qp, const struct ib_recv_wr *wr)
{
	return ib_post_recv(qp, wr, NULL);
}

bool iser_rs_uses_virt_dma(struct ib_device *dev)
{
	return ib_uses_virt_dma(dev);
}

u64 iser_rs_dma_map_single(struct ib_device *dev, void *ptr, size_t size,
			   enum dma_data_direction dir)
{
	return ib_dma_map_single(dev, ptr, size, dir);
}

void iser_rs_dma_unmap_single(struct ib_device *dev, u64 addr, size_t size,
			      enum dma_data_direction dir)
{
	ib_dma_unmap_single(dev, addr, size, dir);
}

bool iser_rs_dma_mapping_error(struct ib_device *dev, u64 addr)
{
	return ib_dma_mapping_error(dev, addr);
}

int iser_rs_dma_map_sg(struct ib_device *dev, struct scatterlist *sg, int nents,
		       enum dma_data_direction dir)
{
	return ib_dma_map_sg(dev, sg, nents, dir);
}

void iser_rs_dma_unmap_sg(struct ib_device *dev, struct scatterlist *sg, int nents,
			  enum dma_data_direction dir)
{
	ib_dma_unmap_sg(dev, sg, nents, dir);
}

/* What a mapped list's entry is to the device; returns the next one. */
struct scatterlist *iser_rs_sg_entry(struct scatterlist *sg, u64 *addr, u32 *len)
{
	*addr = sg_dma_address(sg);
	*len = sg_dma_len(sg);
	return sg_next(sg);
}

void iser_rs_dma_sync_for_cpu(struct ib_device *dev, u64 addr, size_t size,
			      enum dma_data_direction dir)
{
	ib_dma_sync_single_for_cpu(dev, addr, size, dir);
}

void iser_rs_dma_sync_for_device(struct ib_device *dev, u64 addr, size_t size,
				 enum dma_data_direction dir)
{
	ib_dma_sync_single_for_device(dev, addr, size, dir);
}
