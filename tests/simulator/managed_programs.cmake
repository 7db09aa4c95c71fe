# Programs that need more of the system than libibverbs: the paths of the devices, or the connection
# manager. Unmodified, like those of programs.cmake.

# Paths.
railyard_program_test(ibstat RANKS 1 PROFILE connectx EXPECT "State: Active" ibstat)
railyard_program_test(ibstat.apple RANKS 1 PROFILE apple-thunderbolt5 EXPECT "Link layer: Ethernet" ibstat)
railyard_program_test(ucx_info RANKS 1 PROFILE connectx EXPECT "Transport: ud_verbs.*manager: rdmacm" ucx_info -d)
railyard_program_test(fi_info RANKS 1 PROFILE connectx EXPECT "FI_EP_MSG.*FI_PROTO_RDMA_CM_IB_RC"
                      fi_info -p verbs)

foreach(test am_lat put_bw get fadd)
  set(command "ucx_perftest -p $port -t ${test} -x rc_verbs -d mlx5_0:1 -n 1000")
  if(test MATCHES "put_bw|get")
    string(APPEND command " -D zcopy -s 4096")
  endif()
  railyard_pair_test(ucx_perftest.${test} SERVER "${command}" CLIENT "${command} $peer")
endforeach()
set(command "ucx_perftest -p $port -t am_lat -x ud_verbs -d mlx5_0:1 -n 1000")
railyard_pair_test(ucx_perftest.datagrams SERVER "${command}" CLIENT "${command} $peer")
# Over reliable connections alone UCX has nothing to set them up with.
set(command "env UCX_NET_DEVICES=mlx5_0:1 UCX_TLS=rc_verbs,ud_verbs ucx_perftest -p $port")
railyard_pair_test(ucx_perftest.tag_bw SERVER "${command} -t tag_bw -s 1048576 -n 100"
                   CLIENT "${command} -t tag_bw -s 1048576 -n 100 $peer")
set(command "env UCX_NET_DEVICES=mlx5_0:1 UCX_TLS=ud_verbs ucx_perftest -p $port -t tag_lat -n 1000")
railyard_pair_test(ucx_perftest.tag_lat SERVER "${command}" CLIENT "${command} $peer")

# The connection manager.
railyard_pair_test(rping SERVER "rping -s -a 127.0.0.1 -p $port -C 100 -V"
                   CLIENT "rping -c -a $peer -p $port -C 100 -V")
railyard_pair_test(rping.large SERVER "rping -s -a 127.0.0.1 -p $port -C 20 -V -v -d -S 65000"
                   CLIENT "rping -c -a $peer -p $port -C 20 -V -v -d -S 65000")
# A queue pair of rping's own, and a server that goes on to the next client.
railyard_pair_test(rping.own_queue_pair SERVER "rping -s -q -a 127.0.0.1 -p $port -C 20 -V"
                   CLIENT "rping -c -q -a $peer -p $port -C 20 -V")
set(command "rping -c -a $peer -p $port -C 20 -V")
railyard_pair_test(rping.two_clients SERVER "endless rping -s -P -a 127.0.0.1 -p $port"
                   CLIENT "${command} && ${command}")
# A death ends the connection like a disconnection, within this test's time.
railyard_pair_test(rping.killed SERVER "rping -s -a 127.0.0.1 -p $port -v"
                   CLIENT "timeout -s KILL 1 rping -c -a $peer -p $port -C 100000000 || true")
if(RAILYARD_PROGRAM_rping)
  set_tests_properties(simulator.program.rping.killed PROPERTIES
                       PASS_REGULAR_EXPRESSION "server DISCONNECT EVENT")
endif()
railyard_pair_test(ucmatose SERVER "ucmatose -p $port -c 20 -C 50"
                   CLIENT "ucmatose -s $peer -p $port -c 20 -C 50")
railyard_pair_test(udaddy SERVER "udaddy -c 4" CLIENT "udaddy -c 4 -s $peer")
railyard_pair_test(rdma_client SERVER "rdma_server -p $port" CLIENT "rdma_client -s $peer -p $port")
foreach(kind r x)  # reliable connections, and XRC
  railyard_pair_test(rdma_xclient.${kind} SERVER "rdma_xserver -p $port -c ${kind}"
                     CLIENT "rdma_xclient -s $peer -p $port -c ${kind}")
endforeach()
railyard_pair_test(cmtime SERVER "endless cmtime -p $port -c 20" CLIENT "cmtime -p $port -c 20 -s $peer")
railyard_pair_test(mckey AT_ONCE SERVER "mckey -m 239.1.1.1 -C 1" CLIENT "mckey -m 239.1.1.1 -C 1 -s")

# railyard_managed_perftest(<program> <name> [option...])
function(railyard_managed_perftest program name)
  string(JOIN " " command ${program} -F -R -n 100 ${ARGN} -p $port)
  railyard_pair_test(${program}.${name} SERVER "${command}" CLIENT "${command} $peer")
endfunction()

foreach(operation send write read atomic)
  foreach(measure lat bw)
    railyard_managed_perftest(ib_${operation}_${measure} managed)
  endforeach()
endforeach()
foreach(measure lat bw)
  railyard_managed_perftest(ib_send_${measure} managed_datagrams -c UD)
endforeach()
railyard_managed_perftest(ib_send_bw managed_all_at_once -e -b -q 4 --use-srq)

# Sockets over verbs, which live in librdmacm.
railyard_pair_test(rcopy SERVER "endless rcopy -p $port"
                   CLIENT "rcopy /bin/sh $peer:$note.copy -p $port && cmp /bin/sh $note.copy")
railyard_pair_test(rstream SERVER "rstream -p $port -T v -S 1048576 -I 10 -C 10"
                   CLIENT "rstream -s $peer -p $port -T v -S 1048576 -I 10 -C 10")
railyard_pair_test(riostream SERVER "riostream -p $port -S 65536 -I 20 -C 10"
                   CLIENT "riostream -s $peer -p $port -S 65536 -I 20 -C 10")
# Spins on memory for 100,000 turns: with another test beside it, each may take time slices of that.
railyard_pair_test(riostream.defaults SERVER "riostream -p $port" CLIENT "riostream -s $peer -p $port")
set_tests_properties(simulator.program.riostream.defaults PROPERTIES RUN_SERIAL TRUE TIMEOUT 300)
railyard_pair_test(udpong AT_ONCE SERVER "endless udpong -b 127.0.0.1 -p $port -S 64 -C 100"
                   CLIENT "udpong -s $peer -p $port -S 64 -C 100")

# qperf gives up when the other side has not answered for 5 seconds; a busy machine may take longer.
foreach(tests "rc_lat rc_bw rc_bi_bw" "uc_lat uc_bw" "ud_lat ud_bw"
              "rc_rdma_write_lat rc_rdma_write_bw rc_rdma_read_lat rc_rdma_read_bw"
              "rc_compare_swap_mr rc_fetch_add_mr ver_rc_compare_swap ver_rc_fetch_add")
  string(REGEX MATCH "^(ver_)?[a-z]+_[a-z]+" kind ${tests})
  railyard_pair_test(qperf.${kind} SERVER "endless qperf -lp $port"
                     CLIENT "qperf $peer -lp $port -to 40 -t 1 ${tests}")
endforeach()

# libfabric, whose verbs provider is not there without a connection manager.
foreach(kind msg rdm.rxd rdm.rxm)
  string(REGEX REPLACE "\\..*" "" endpoint ${kind})
  set(provider verbs)
  if(kind MATCHES "\\.(.*)")
    set(provider "'verbs\\;ofi_${CMAKE_MATCH_1}'")
  endif()
  railyard_pair_test(fi_pingpong.${kind}
                     SERVER "fi_pingpong -p ${provider} -e ${endpoint} -B $port"
                     CLIENT "fi_pingpong -p ${provider} -e ${endpoint} -P $port $peer")
endforeach()

set(job "--ioengine=rdma --port=$port --bs=64k --size=16m --thread")
railyard_pair_test(fio SERVER "fio --name=receiver ${job} --filename=rdma --rw=read"
                   CLIENT "fio --name=sender ${job} --hostname=$peer --verb=write --iodepth=4 --rw=write")
