# The distribution's own verbs programs, unmodified, on simulated clusters: two ranks, the second of
# which is the client of the first.

# railyard_program_test(<name> PROFILE <profile> [RANKS <number>] <program> [argument...])
function(railyard_program_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PROFILE;RANKS" "")
  list(POP_FRONT arg_UNPARSED_ARGUMENTS program)
  set(ranks 2)
  if(arg_RANKS)
    set(ranks ${arg_RANKS})
  endif()
  find_program(RAILYARD_PROGRAM_${program} ${program})
  set(path ${RAILYARD_PROGRAM_${program}})
  set(test simulator.program.${name})
  if(path)
    add_test(NAME ${test} COMMAND railyard exec -n ${ranks} --profile ${arg_PROFILE} -- ${path}
             ${arg_UNPARSED_ARGUMENTS})
    # The pingpongs report bad payload in words and exit with 0.
    set_tests_properties(${test} PROPERTIES TIMEOUT 60 LABELS programs
                         FAIL_REGULAR_EXPRESSION "invalid data")
  else()
    add_test(NAME ${test}
             COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${program} is not installed")
    set_tests_properties(${test} PROPERTIES LABELS programs SKIP_REGULAR_EXPRESSION "skipped: ")
  endif()
endfunction()

# Ports of their own: another program on this machine may have the usual ones.
set(client -p {port} {peer})

railyard_program_test(ibv_devices PROFILE connectx ibv_devices)
railyard_program_test(ibv_devinfo PROFILE connectx ibv_devinfo -v -d mlx5_0)
railyard_program_test(ibv_devinfo.apple PROFILE apple-thunderbolt5 ibv_devinfo -v -d rdma_en2)

railyard_program_test(ibv_rc_pingpong PROFILE connectx ibv_rc_pingpong -c ${client})
railyard_program_test(ibv_rc_pingpong.events PROFILE connectx ibv_rc_pingpong -c -e ${client})
railyard_program_test(ibv_rc_pingpong.new_send PROFILE connectx ibv_rc_pingpong -c -N ${client})
railyard_program_test(ibv_rc_pingpong.timestamps PROFILE connectx ibv_rc_pingpong -c -t ${client})
railyard_program_test(ibv_uc_pingpong PROFILE connectx ibv_uc_pingpong -c ${client})

railyard_program_test(ibv_ud_pingpong PROFILE connectx ibv_ud_pingpong -c ${client})
railyard_program_test(ibv_srq_pingpong PROFILE connectx ibv_srq_pingpong -c ${client})
railyard_program_test(ibv_xsrq_pingpong PROFILE connectx ibv_xsrq_pingpong ${client})

railyard_program_test(ib_send_lat PROFILE connectx ib_send_lat -F ${client})
railyard_program_test(ib_send_lat.uc PROFILE connectx ib_send_lat -F -c UC -s 8 ${client})
railyard_program_test(ib_write_lat PROFILE connectx ib_write_lat -F -n 200 ${client})
railyard_program_test(ib_send_bw PROFILE connectx ib_send_bw -F ${client})
railyard_program_test(ib_send_bw.large PROFILE connectx
                      ib_send_bw -F -s 8388608 -n 50 ${client})
railyard_program_test(ib_send_bw.both_ways PROFILE connectx ib_send_bw -F -b -q 4 ${client})
railyard_program_test(ib_send_bw.events PROFILE connectx ib_send_bw -F -e ${client})
railyard_program_test(ib_write_bw PROFILE connectx ib_write_bw -F ${client})
railyard_program_test(ib_write_bw.uc PROFILE connectx ib_write_bw -F -c UC ${client})
railyard_program_test(ib_read_bw PROFILE connectx ib_read_bw -F ${client})

railyard_program_test(ib_send_lat.ud PROFILE connectx ib_send_lat -F -c UD ${client})
railyard_program_test(ib_send_bw.shared PROFILE connectx ib_send_bw -F --use-srq ${client})
railyard_program_test(ib_send_bw.xrc PROFILE connectx ib_send_bw -F -c XRC ${client})
railyard_program_test(ib_write_bw.xrc PROFILE connectx ib_write_bw -F -c XRC ${client})
railyard_program_test(ib_atomic_bw PROFILE connectx ib_atomic_bw -F ${client})
