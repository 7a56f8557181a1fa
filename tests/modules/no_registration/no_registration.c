// SPDX-License-Identifier: GPL-2.0
/*
 * no_registration: as long as it is loaded, the RDMA device over a network device (parameter
 * netdev) says that it cannot register memory as fast registration needs it.
 */
#include <linux/module.h>
#include <linux/netdevice.h>
#include <rdma/ib_verbs.h>

static char *netdev;
module_param(netdev, charp, 0444);

static struct ib_device *ibdev;

static int __init no_registration_init(void)
{
	struct net_device *ndev = netdev ? dev_get_by_name(&init_net, netdev) : NULL;

	if (!ndev)
		return -EINVAL;
	ibdev = ib_device_get_by_netdev(ndev, RDMA_DRIVER_UNKNOWN);
	dev_put(ndev);
	if (!ibdev)
		return -ENODEV;
	ibdev->attrs.device_cap_flags &= ~IB_DEVICE_MEM_MGT_EXTENSIONS;
	return 0;
}

static void __exit no_registration_exit(void)
{
	ibdev->attrs.device_cap_flags |= IB_DEVICE_MEM_MGT_EXTENSIONS;
	ib_device_put(ibdev);
}

module_init(no_registration_init);
module_exit(no_registration_exit);
MODULE_DESCRIPTION("Test: an RDMA device without fast registration");
MODULE_LICENSE("GPL");
