# ibverbs-utils and pyverbs: two ranks, the second of which is the client of the first.

# Ports of their own: another program on this machine may have the usual ones.
set(client -p {port} {peer})

railyard_program_test(ibv_devices PROFILE connectx ibv_devices)
railyard_program_test(ibv_devinfo PROFILE connectx ibv_devinfo -v -d mlx5_0)

# -c checks the payload, -e sleeps on events, -t takes timestamps, -N builds requests with ibv_wr_*.
foreach(kind rc uc ud srq)
  railyard_program_test(ibv_${kind}_pingpong PROFILE connectx ibv_${kind}_pingpong -c ${client})
  railyard_program_test(ibv_${kind}_pingpong.events PROFILE connectx ibv_${kind}_pingpong -c -e ${client})
endforeach()
railyard_program_test(ibv_rc_pingpong.new_send PROFILE connectx ibv_rc_pingpong -c -N ${client})
railyard_program_test(ibv_rc_pingpong.timestamps PROFILE connectx ibv_rc_pingpong -c -t ${client})
railyard_program_test(ibv_xsrq_pingpong PROFILE connectx ibv_xsrq_pingpong ${client})
railyard_program_test(ibv_xsrq_pingpong.events PROFILE connectx ibv_xsrq_pingpong -e ${client})

# pyverbs belongs to the distribution's own Python.
execute_process(COMMAND /usr/bin/python3 -c "import pyverbs.qp" RESULT_VARIABLE pyverbs_missing
                OUTPUT_QUIET ERROR_QUIET)
set(RAILYARD_PROGRAM_python3 /usr/bin/python3 CACHE FILEPATH "")
if(pyverbs_missing)
  railyard_skipped_program_test(pyverbs pyverbs)
  railyard_skipped_program_test(pyverbs.connection pyverbs)
else()
  railyard_program_test(pyverbs PROFILE connectx python3
                        ${CMAKE_CURRENT_SOURCE_DIR}/programs/pyverbs_transfer.py {port} {peer})
  set(connection "/usr/bin/python3 ${CMAKE_CURRENT_SOURCE_DIR}/programs/pyverbs_connection.py $port")
  railyard_pair_test(pyverbs.connection SERVER "${connection}" CLIENT "${connection} $peer")
endif()

# With pyverbs, rdma-core tests devices and drivers.
set(tests /usr/share/doc/rdma-core/tests)
if(pyverbs_missing OR NOT EXISTS ${tests}/run_tests.py)
  railyard_skipped_program_test(rdma_core_tests "rdma-core with its tests")
else()
  railyard_program_test(rdma_core_tests RANKS 1 PROFILE connectx
                        sh ${CMAKE_CURRENT_SOURCE_DIR}/programs/rdma_core_tests.sh ${tests} mlx5_0)
  set_tests_properties(simulator.program.rdma_core_tests PROPERTIES TIMEOUT 240)
endif()
