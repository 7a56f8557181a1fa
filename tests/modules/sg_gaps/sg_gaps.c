// SPDX-License-Identifier: GPL-2.0
/*
 * sg_gaps: as long as it is loaded, the RDMA device over a network device (parameter netdev)
 * registers any list of segments, with gaps between them (IB_MR_TYPE_SG_GAPS), as some adapters do.
 *
 * The device is siw: its regions are lists of any segments, but it does not say so, and has
 * ib_sg_to_pages() see to it that they would be pages. These are as small as is needed here.
 *
 * gaps  how many lists were registered that have a segment within which begins or ends in the
 *       middle of a page of 4096 bytes: without this module there are none
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <linux/scatterlist.h>
#include <rdma/ib_verbs.h>

#define LARGE_PAGE	4096

static char *netdev;
module_param(netdev, charp, 0444);

static atomic_t gaps;

static int gaps_get(char *buffer, const struct kernel_param *kp)
{
	return sysfs_emit(buffer, "%u\n", atomic_read(&gaps));
}

static const struct kernel_param_ops gaps_ops = { .get = gaps_get };
module_param_cb(gaps, &gaps_ops, NULL, 0444);

static struct ib_device *ibdev;
static struct ib_device_ops ops;

static struct ib_mr *alloc_mr(struct ib_pd *pd, enum ib_mr_type type, u32 segments)
{
	return ops.alloc_mr(pd, type == IB_MR_TYPE_SG_GAPS ? IB_MR_TYPE_MEM_REG : type, segments);
}

static bool has_gap(struct scatterlist *sgl, int nents)
{
	struct scatterlist *sg;
	u64 end = 0;
	int i;

	for_each_sg(sgl, sg, nents, i) {
		if (i && (end | sg_dma_address(sg)) % LARGE_PAGE)
			return true;
		end = sg_dma_address(sg) + sg_dma_len(sg);
	}
	return false;
}

static int map_mr_sg(struct ib_mr *mr, struct scatterlist *sgl, int nents, unsigned int *offset)
{
	/* As ib_alloc_mr() was asked for. */
	if (mr->type == IB_MR_TYPE_SG_GAPS) {
		mr->page_size = 4;	/* SCSI hosts align segments to that */
		if (has_gap(sgl, nents))
			atomic_inc(&gaps);
	}
	return ops.map_mr_sg(mr, sgl, nents, offset);
}

static int __init sg_gaps_init(void)
{
	struct net_device *ndev = netdev ? dev_get_by_name(&init_net, netdev) : NULL;

	if (!ndev)
		return -EINVAL;
	ibdev = ib_device_get_by_netdev(ndev, RDMA_DRIVER_SIW);
	dev_put(ndev);
	if (!ibdev)
		return -ENODEV;
	ops = ibdev->ops;
	ibdev->ops.alloc_mr = alloc_mr;
	ibdev->ops.map_mr_sg = map_mr_sg;
	ibdev->attrs.kernel_cap_flags |= IBK_SG_GAPS_REG;
	return 0;
}

static void __exit sg_gaps_exit(void)
{
	ibdev->attrs.kernel_cap_flags &= ~IBK_SG_GAPS_REG;
	ibdev->ops.map_mr_sg = ops.map_mr_sg;
	ibdev->ops.alloc_mr = ops.alloc_mr;
	ib_device_put(ibdev);
}

module_init(sg_gaps_init);
module_exit(sg_gaps_exit);
MODULE_DESCRIPTION("Test: an RDMA device that registers segments with gaps");
MODULE_LICENSE("GPL");
