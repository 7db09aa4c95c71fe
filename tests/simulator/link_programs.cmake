# Programs on cables that are shaped. What is expected holds on a busy machine too: nothing is faster than
# its link, and what is lost or damaged on it is sent again.

# At 5 us no half round trip takes less, and at 5 GB/s (4768 MiB/s) no stretch is faster.
set(link "latency=5us,bandwidth=5GB/s")
railyard_program_test(link.latency PROFILE connectx LINK ${link}
                      EXPECT "\\[1\\] +2 +200 +([5-9]|[1-9][0-9]+)\\.[0-9]" ib_send_lat -F -n 200 ${client})
railyard_program_test(link.bandwidth PROFILE connectx LINK ${link}
                      EXPECT "\\[1\\] +65536 +500 +(4[0-7][0-9][0-9]|[1-3]?[0-9]?[0-9]?[0-9])\\.[0-9]"
                      ib_send_bw -F -n 500 ${client})

# -c looks at the payload.
foreach(trouble loss corruption)
  railyard_program_test(link.${trouble} PROFILE connectx LINK ${trouble}=0.02
                        EXPECT "100 iters in" ibv_rc_pingpong -c -n 100 ${client})
endforeach()
