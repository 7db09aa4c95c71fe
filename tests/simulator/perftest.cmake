# perftest: its eight programs, on every transport that has the operation, with the options that lead
# them other ways through verbs. Few iterations: what is tested is that data moves and both sides end.

# railyard_perftest(<operation> <lat or bw> <transport> <name of the options> [option...])
function(railyard_perftest operation measure transport name)
  string(TOLOWER ${transport} lower)
  railyard_program_test(ib_${operation}_${measure}.${lower}.${name} PROFILE connectx
                        ib_${operation}_${measure} -F -c ${transport} ${ARGN} -p {port} {peer})
endfunction()

set(short -n 100)
foreach(operation send write read atomic)
  set(transports RC XRC)
  if(operation STREQUAL send)
    set(transports RC UC UD XRC)
  elseif(operation STREQUAL write)
    set(transports RC UC XRC)
  endif()
  foreach(transport ${transports})
    foreach(measure lat bw)
      railyard_perftest(${operation} ${measure} ${transport} plain ${short})
      railyard_perftest(${operation} ${measure} ${transport} old_post_send --use_old_post_send ${short})
      if(NOT operation STREQUAL write)  # which perftest has no events for
        railyard_perftest(${operation} ${measure} ${transport} events -e ${short})
      endif()
      if(operation MATCHES "send|write")
        railyard_perftest(${operation} ${measure} ${transport} inline -I 64 -s 64 ${short})
      endif()
      if(operation STREQUAL send AND NOT transport STREQUAL XRC)  # which has nothing else
        railyard_perftest(${operation} ${measure} ${transport} shared_receives --use-srq ${short})
      endif()
    endforeach()
    railyard_perftest(${operation} bw ${transport} eight_queue_pairs -q 8 ${short})
    if(transport STREQUAL UD)
      # A receiver that loses its core loses datagrams, and perftest waits for them for ever.
      continue()
    endif()
    if(NOT operation STREQUAL atomic)  # whose size is given
      railyard_perftest(${operation} bw ${transport} all_sizes -a -n 5)
    endif()
    railyard_perftest(${operation} bw ${transport} both_ways -b ${short})
    railyard_perftest(${operation} bw ${transport} one_second -D 1)
  endforeach()
endforeach()

# On a busy machine every turn of these waits for both processes to be given a core.
foreach(operation send write read)
  railyard_perftest(${operation} lat RC all_sizes -a -n 5)
  set_property(TEST simulator.program.ib_${operation}_lat.rc.all_sizes PROPERTY TIMEOUT 240)
endforeach()

railyard_perftest(send lat RC one_second -D 1)
railyard_perftest(send bw RC large -s 8388608 -n 20)
railyard_perftest(send bw RC all_at_once -b -q 8 -e --use-srq ${short})
