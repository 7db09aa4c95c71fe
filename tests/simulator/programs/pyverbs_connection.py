#!/usr/bin/python3
"""Two ranks connect by the connection manager: each sends with the packet number that the other one waits for.

pyverbs_connection.py <port> [<server's address>]
"""
import sys

import pyverbs.cm_enums as ce
import pyverbs.enums as e
from pyverbs.cmid import CMID, AddrInfo
from pyverbs.qp import QPCap, QPInitAttr

BYTES = 64


def connect(port, server):
    capabilities = QPInitAttr(cap=QPCap(max_send_wr=4, max_recv_wr=4))
    if server:
        address = AddrInfo(src=None, dst=server, dst_service=port, port_space=ce.RDMA_PS_TCP)
        connection = CMID(creator=address, qp_init_attr=capabilities)
        memory = connection.reg_msgs(BYTES)
        connection.post_recv(memory)
        connection.connect()
        return connection, memory
    address = AddrInfo(src="127.0.0.1", src_service=port, port_space=ce.RDMA_PS_TCP, flags=ce.RAI_PASSIVE)
    listener = CMID(creator=address, qp_init_attr=capabilities)
    listener.listen()
    connection = listener.get_request()
    memory = connection.reg_msgs(BYTES)
    connection.accept()
    return connection, memory


def packet_numbers(connection):
    attributes, _ = connection.query_qp(e.IBV_QP_SQ_PSN | e.IBV_QP_RQ_PSN)
    return attributes.sq_psn, attributes.rq_psn


def main(port, server=None):
    connection, memory = connect(port, server)
    sends, receives = packet_numbers(connection)
    if server:
        assert connection.get_recv_comp().status == e.IBV_WC_SUCCESS
        theirs = memory.read(BYTES, 0).split(b" ")
        assert (receives, sends) == (int(theirs[0]), int(theirs[1])), f"{sends} {receives} here, there {theirs}"
        assert sends != 0 and receives != 0
    else:
        text = f"{sends} {receives} ".encode().ljust(BYTES)
        memory.write(text, BYTES)
        connection.post_send(memory)
        assert connection.get_send_comp().status == e.IBV_WC_SUCCESS
    print("packet numbers agree")


main(*sys.argv[1:])
