/* SPDX-License-Identifier: GPL-2.0 */
/*
 * C helpers for what bindgen cannot translate: static inline functions, macros,
 * and fields of structures that are opaque to Rust.
 */
#ifndef IB_ISER_RS_HELPERS_H
#define IB_ISER_RS_HELPERS_H

#include <linux/debugfs.h>
#include <linux/seq_file.h>
#include <rdma/ib_verbs.h>
#include <rdma/rdma_cm.h>
#include <scsi/libiscsi.h>
#include <scsi/scsi_host.h>
#include <scsi/scsi_transport_iscsi.h>

/* What the device offers, as far as a consumer of fast registration needs it. */
struct iser_rs_device_attr {
	u32 max_cqe;
	u32 max_qp_wr;
	u32 max_send_sge;
	u32 max_fast_reg_page_list_len;
	u32 max_qp_rd_atom;
	bool mem_mgt_extensions;
	bool sg_gaps_reg;
	bool iwarp;
};

void iser_rs_device_attr(struct ib_device *dev, struct iser_rs_device_attr *attr);
const char *iser_rs_device_name(struct ib_device *dev);
struct device *iser_rs_device_parent(struct ib_device *dev);

struct rdma_cm_id *iser_rs_create_id(rdma_cm_event_handler handler, void *context);
struct ib_device *iser_rs_id_device(struct rdma_cm_id *id);
void *iser_rs_id_context(struct rdma_cm_id *id);
struct ib_qp *iser_rs_id_qp(struct rdma_cm_id *id);
u32 iser_rs_id_port(struct rdma_cm_id *id);
const struct sockaddr *iser_rs_id_source(struct rdma_cm_id *id);
u32 iser_rs_qp_number(struct ib_qp *qp);

u32 iser_rs_pd_local_dma_lkey(struct ib_pd *pd);

int iser_rs_post_send(struct ib_qp *qp, const struct ib_send_wr *wr);
int iser_rs_post_recv(struct ib_qp *qp, const struct ib_recv_wr *wr);

bool iser_rs_uses_virt_dma(struct ib_device *dev);
u64 iser_rs_dma_map_single(struct ib_device *dev, void *ptr, size_t size,
			   enum dma_data_direction dir);
void iser_rs_dma_unmap_single(struct ib_device *dev, u64 addr, size_t size,
			      enum dma_data_direction dir);
bool iser_rs_dma_mapping_error(struct ib_device *dev, u64 addr);
int iser_rs_dma_map_sg(struct ib_device *dev, struct scatterlist *sg, int nents,
		       enum dma_data_direction dir);
void iser_rs_dma_unmap_sg(struct ib_device *dev, struct scatterlist *sg, int nents,
			  enum dma_data_direction dir);
struct scatterlist *iser_rs_sg_entry(struct scatterlist *sg, u64 *addr, u32 *len);
void iser_rs_dma_sync_for_cpu(struct ib_device *dev, u64 addr, size_t size,
			      enum dma_data_direction dir);
void iser_rs_dma_sync_for_device(struct ib_device *dev, u64 addr, size_t size,
				 enum dma_data_direction dir);

/* What a transport says of a new SCSI host. */
struct iser_rs_host_limits {
	u32 can_queue;
	u32 cmd_per_lun;
	u32 max_lun;
	u32 sg_tablesize;
	u32 max_sectors;
	u32 virt_boundary_mask;
};

void iser_rs_host_set(struct Scsi_Host *shost, struct scsi_transport_template *tt,
		      const struct iser_rs_host_limits *limits);
void iser_rs_host_memory(struct Scsi_Host *shost, u32 *sg_tablesize, u32 *boundary);
struct Scsi_Host *iser_rs_session_to_host(struct iscsi_cls_session *session);
struct iscsi_session *iser_rs_session_of_command(struct scsi_cmnd *sc);
struct iscsi_task *iser_rs_task_of_command(struct scsi_cmnd *sc);
struct iscsi_session *iser_rs_session_libiscsi(struct iscsi_cls_session *session);
u32 iser_rs_session_host_number(struct iscsi_cls_session *session);
u32 iser_rs_session_number(struct iscsi_cls_session *session);

bool iser_rs_transport_exists(const char *name);
void iser_rs_lock_forward(struct iscsi_session *session);
void iser_rs_unlock_forward(struct iscsi_session *session);
void iser_rs_lock_back(struct iscsi_session *session);
void iser_rs_unlock_back(struct iscsi_session *session);
void iser_rs_lock_endpoints(void);
void iser_rs_unlock_endpoints(void);
struct iscsi_endpoint *iser_rs_create_endpoint(void);
void iser_rs_endpoint_add(struct iscsi_endpoint *ep, void *data);
void *iser_rs_endpoint_data(struct iscsi_endpoint *ep);
void *iser_rs_endpoint_take(struct iscsi_endpoint *ep);
struct iscsi_endpoint *iser_rs_endpoint_first(void);

struct workqueue_struct *iser_rs_alloc_workqueue(void);
void iser_rs_destroy_workqueue(struct workqueue_struct *queue);

/* A file in debugfs: what is written when it is read, and takes what is written to it. */
struct iser_rs_file {
	void (*show)(struct seq_file *m, const struct iser_rs_file *file);
	void (*set)(const struct iser_rs_file *file, bool on);
};

extern struct dentry *iser_rs_debugfs_root;
extern const unsigned int iser_rs_hz;
struct dentry *iser_rs_debugfs_dir(const char *parent, const char *name);
void iser_rs_debugfs_file(struct dentry *dir, const char *name, const struct iser_rs_file *file);
void iser_rs_debugfs_remove(struct dentry *dir);

/* How the target's access to a command's data ends, in a tracepoint. */
enum iser_rs_invalidated {
	ISER_RS_NOT_REGISTERED,
	ISER_RS_REMOTELY,
	ISER_RS_LOCALLY,
};

bool iser_rs_latency_on(void);
void iser_rs_latency_set(bool on);

#endif
