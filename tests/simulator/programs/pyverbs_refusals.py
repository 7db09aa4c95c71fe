#!/usr/bin/python3
"""What pyverbs shows of Apple's RDMA over Thunderbolt: what works, and how the rest is refused."""
import errno
import os
import sys

from pyverbs import enums as e
from pyverbs.cq import CQ
from pyverbs.device import Context, get_device_list
from pyverbs.mr import MR, MW
from pyverbs.pd import PD
from pyverbs.pyverbs_error import PyverbsRDMAError
from pyverbs.qp import QP, QPCap, QPInitAttr
from pyverbs.srq import SRQ, SrqAttr, SrqInitAttr
from pyverbs.xrcd import XRCD, XRCDInitAttr

PAGE = os.sysconf('SC_PAGESIZE')
failures = []


def refused(what, number, make):
    try:
        make()
    except PyverbsRDMAError as error:
        if error.error_code != number:
            failures.append(f'{what}: {errno.errorcode[error.error_code]}, not {errno.errorcode[number]}')
    else:
        failures.append(f'{what}: not refused')


device = Context(name=get_device_list()[0].name.decode())
domain = PD(device)
queue = CQ(device, 16)
MR(domain, PAGE, e.IBV_ACCESS_LOCAL_WRITE)


def pair(kind, **capabilities):
    return lambda: QP(domain, QPInitAttr(qp_type=kind, scq=queue, rcq=queue, cap=QPCap(**capabilities)))


pair(e.IBV_QPT_UC)()
for kind in (e.IBV_QPT_RC, e.IBV_QPT_UD):
    refused(f'queue pair of type {kind}', errno.EOPNOTSUPP, pair(kind))
refused('two pieces', errno.EINVAL, pair(e.IBV_QPT_UC, max_send_sge=2))
refused('inline data', errno.EINVAL, pair(e.IBV_QPT_UC, max_inline_data=16))
refused('a region that others write', errno.EINVAL,
        lambda: MR(domain, PAGE, e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE))
refused('a shared receive queue', errno.EOPNOTSUPP, lambda: SRQ(domain, SrqInitAttr(SrqAttr(max_wr=4))))
refused('a memory window', errno.EOPNOTSUPP, lambda: MW(domain, e.IBV_MW_TYPE_1))
refused('an XRC domain', errno.EOPNOTSUPP, lambda: XRCD(device, XRCDInitAttr(
    e.IBV_XRCD_INIT_ATTR_FD | e.IBV_XRCD_INIT_ATTR_OFLAGS, os.O_CREAT, -1)))

print('\n'.join(failures) or 'refused as it should be')
sys.exit(bool(failures))
