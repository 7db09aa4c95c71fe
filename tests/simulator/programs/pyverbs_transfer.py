#!/usr/bin/python3
"""Moves data between two processes with pyverbs: pyverbs_transfer.py <port> [<peer>]

Without a peer it serves. What each round sends is checked where it arrives:
  plain     ibv_post_send, ibv_poll_cq: SEND, RDMA WRITE, RDMA READ
  extended  an extended queue pair (ibv_wr_*) and completion queue (ibv_start_poll, timestamps)
"""
import socket
import sys
import time

from pyverbs import enums as e
from pyverbs.addr import AHAttr
from pyverbs.cq import CQ, CQEX, CqInitAttrEx
from pyverbs.device import Context, get_device_list
from pyverbs.mr import MR
from pyverbs.pd import PD
from pyverbs.qp import QP, QPAttr, QPCap, QPEx, QPInitAttr, QPInitAttrEx
from pyverbs.wr import SGE, RecvWR, SendWR

SIZE = 8192
HALF = SIZE // 2
PATIENCE_S = 20
ACCESS = (e.IBV_ACCESS_LOCAL_WRITE | e.IBV_ACCESS_REMOTE_WRITE | e.IBV_ACCESS_REMOTE_READ)


def connect(port, peer):
    """A stream to the other process; the client is started when the server listens."""
    if peer:
        return socket.create_connection((peer, port), timeout=PATIENCE_S)
    with socket.create_server(('127.0.0.1', port)) as listener:
        listener.settimeout(PATIENCE_S)
        return listener.accept()[0]


class Meeting:
    """What verbs programs tell each other outside of verbs, a line each."""

    def __init__(self, stream):
        self.stream = stream
        self.stream.settimeout(PATIENCE_S)
        self.lines = stream.makefile('r')

    def exchange(self, *words):
        self.stream.sendall((' '.join(map(str, words)) + '\n').encode())
        return self.lines.readline().split()

    def wait(self):
        assert self.exchange('here') == ['here'], 'the other side has gone'


def check(holds, what):
    if not holds:
        sys.exit(f'pyverbs_transfer: {what}')


def pattern(text):
    return (text * SIZE)[:HALF]


class Side:
    """One side's device, memory and queue pair; the first half of the memory is for what comes in."""

    def __init__(self, meeting):
        self.meeting = meeting
        self.context = Context(name=get_device_list()[0].name.decode())
        self.domain = PD(self.context)
        self.memory = MR(self.domain, SIZE, ACCESS)
        self.completions = self.make_completion_queue()
        self.queue_pair = self.make_queue_pair()
        self.connect()

    def connect(self):
        port = self.context.query_port(1)
        check(port.state == e.IBV_PORT_ACTIVE, 'the port is not active')
        number, lid, self.key, self.address = map(
            int, self.meeting.exchange(self.queue_pair.qp_num, port.lid, self.memory.rkey,
                                       self.memory.buf))
        attributes = QPAttr(port_num=1)
        attributes.dest_qp_num, attributes.path_mtu = number, e.IBV_MTU_1024
        attributes.qp_access_flags = ACCESS
        attributes.max_rd_atomic = attributes.max_dest_rd_atomic = 1
        attributes.timeout, attributes.retry_cnt, attributes.rnr_retry = 14, 7, 7
        attributes.ah_attr = AHAttr(port_num=1, is_global=0, dlid=lid)
        self.queue_pair.to_rts(attributes)
        self.meeting.wait()

    def incoming(self):
        return SGE(self.memory.buf, HALF, self.memory.lkey)

    def outgoing(self):
        return SGE(self.memory.buf + HALF, HALF, self.memory.lkey)

    def fill(self, text):
        self.memory.write(pattern(text), HALF, HALF)

    def check_arrived(self, text):
        check(self.memory.read(HALF, 0).decode() == pattern(text), f'"{text}" has not arrived')
        self.memory.write('\0' * HALF, HALF)

    def receive(self, identifier):
        self.queue_pair.post_recv(RecvWR(wr_id=identifier, num_sge=1, sg=[self.incoming()]))

    def swap(self, name):
        """Each side sends to the other."""
        self.receive(7)
        self.meeting.wait()
        self.fill('sent by ' + name[0])
        self.send(8)
        # Each direction is on its own: either of the two may complete first.
        done = {self.next_completion() for _ in range(2)}
        check(done == {(7, e.IBV_WC_SUCCESS, e.IBV_WC_RECV), (8, e.IBV_WC_SUCCESS, e.IBV_WC_SEND)},
              f'the completions of a swap are {done}')
        self.check_arrived('sent by ' + name[1])
        self.meeting.wait()

    def next_completion(self):
        end = time.monotonic() + PATIENCE_S
        while not (found := self.poll()):
            check(time.monotonic() < end, 'there is no completion')
        return found

    def write_and_read(self, name):
        self.fill('written by ' + name[0])
        self.write(9)
        check(self.next_completion() == (9, e.IBV_WC_SUCCESS, e.IBV_WC_RDMA_WRITE), 'no write')
        self.meeting.wait()
        self.check_arrived('written by ' + name[1])
        self.meeting.wait()
        self.read(10)
        check(self.next_completion() == (10, e.IBV_WC_SUCCESS, e.IBV_WC_RDMA_READ), 'no read')
        self.check_arrived('written by ' + name[1])
        self.meeting.wait()

    def run(self, name):
        self.swap(name)
        self.write_and_read(name)
        self.queue_pair.close()
        self.completions.close()
        self.memory.close()
        self.domain.close()
        self.context.close()
        print(type(self).__name__.lower(), 'done')


class Plain(Side):
    def make_completion_queue(self):
        return CQ(self.context, 16)

    def make_queue_pair(self):
        return QP(self.domain, QPInitAttr(qp_type=e.IBV_QPT_RC, scq=self.completions,
                                          rcq=self.completions, cap=QPCap(8, 8, 2, 2)))

    def poll(self):
        count, found = self.completions.poll(1)
        return (found[0].wr_id, found[0].status, found[0].opcode) if count else None

    def post(self, identifier, opcode, piece):
        request = SendWR(wr_id=identifier, opcode=opcode, num_sge=1, sg=[piece])
        if opcode != e.IBV_WR_SEND:
            offset = HALF if opcode == e.IBV_WR_RDMA_READ else 0
            request.set_wr_rdma(self.key, self.address + offset)
        self.queue_pair.post_send(request)

    def send(self, identifier):
        self.post(identifier, e.IBV_WR_SEND, self.outgoing())

    def write(self, identifier):
        self.post(identifier, e.IBV_WR_RDMA_WRITE, self.outgoing())

    def read(self, identifier):
        self.post(identifier, e.IBV_WR_RDMA_READ, self.incoming())


class Extended(Side):
    last_timestamp = 1

    def make_completion_queue(self):
        flags = e.IBV_WC_EX_WITH_COMPLETION_TIMESTAMP | e.IBV_WC_STANDARD_FLAGS
        return CQEX(self.context, CqInitAttrEx(cqe=16, wc_flags=flags))

    def make_queue_pair(self):
        operations = (e.IBV_QP_EX_WITH_SEND | e.IBV_QP_EX_WITH_RDMA_WRITE |
                      e.IBV_QP_EX_WITH_RDMA_READ)
        return QPEx(self.context, QPInitAttrEx(
            qp_type=e.IBV_QPT_RC, scq=self.completions, rcq=self.completions,
            cap=QPCap(8, 8, 2, 2), pd=self.domain, send_ops_flags=operations,
            comp_mask=e.IBV_QP_INIT_ATTR_PD | e.IBV_QP_INIT_ATTR_SEND_OPS_FLAGS))

    def poll(self):
        if self.completions.start_poll(None):
            return None
        found = (self.completions.wr_id, self.completions.status, self.completions.read_opcode())
        timestamp = self.completions.read_timestamp()
        check(timestamp >= self.last_timestamp, 'time runs backwards')
        self.last_timestamp = timestamp
        if found[2] == e.IBV_WC_RECV:
            check(self.completions.read_byte_len() == HALF, 'a message has another length')
            check(self.completions.read_qp_num() == self.queue_pair.qp_num, 'not this queue pair')
        self.completions.end_poll()
        return found

    def post(self, identifier, build, piece):
        self.queue_pair.wr_start()
        self.queue_pair.wr_id = identifier
        self.queue_pair.wr_flags = e.IBV_SEND_SIGNALED
        build()
        self.queue_pair.wr_set_sge(piece)
        self.queue_pair.wr_complete()

    def send(self, identifier):
        self.post(identifier, self.queue_pair.wr_send, self.outgoing())

    def write(self, identifier):
        self.post(identifier, lambda: self.queue_pair.wr_rdma_write(self.key, self.address),
                  self.outgoing())

    def read(self, identifier):
        self.post(identifier, lambda: self.queue_pair.wr_rdma_read(self.key, self.address + HALF),
                  self.incoming())


def main(port, peer=None):
    meeting = Meeting(connect(int(port), peer))
    names = ('client', 'server') if peer else ('server', 'client')
    for side in Plain, Extended:
        side(meeting).run(names)


main(*sys.argv[1:])
