# Common verbs programs on Apple's RDMA over Thunderbolt: few were written for such a device, and each is
# refused where the device would refuse it.

railyard_program_test(ibv_devinfo.apple PROFILE apple-thunderbolt5
                      EXPECT "max_qp:.*11.*max_sge:.*1.*max_srq:.*0.*PORT_ACTIVE" ibv_devinfo -v -d rdma_en2)
railyard_program_test(ibv_devinfo.apple_without_cable PROFILE apple-thunderbolt5 RANKS 1
                      EXPECT "PORT_DOWN" ibv_devinfo -d rdma_en2)
foreach(refusal "rc:Couldn't create QP" "ud:Couldn't create QP" "srq:Couldn't create SRQ"
                "uc:Couldn't post receive")  # it posts them before RTS
  string(REGEX MATCH "^([a-z]+):(.*)" both "${refusal}")
  railyard_program_test(ibv_${CMAKE_MATCH_1}_pingpong.apple PROFILE apple-thunderbolt5
                        EXPECT "${CMAKE_MATCH_2}" ibv_${CMAKE_MATCH_1}_pingpong -g 1 ${client})
endforeach()
# Its link layer, 100, is unknown to perftest.
railyard_program_test(ib_send_bw.apple PROFILE apple-thunderbolt5 EXPECT "Couldn't set the link layer"
                      ib_send_bw -F -c UC -x 1 ${client})
if(pyverbs_missing)
  railyard_skipped_program_test(pyverbs.apple pyverbs)
else()
  railyard_program_test(pyverbs.apple PROFILE apple-thunderbolt5 python3
                        ${CMAKE_CURRENT_SOURCE_DIR}/programs/pyverbs_refusals.py)
endif()
