# Tests that run other people's programs, unmodified, on simulated clusters.

# The test simulator.program.<name> when its program is not here.
function(railyard_skipped_program_test name missing)
  set(test simulator.program.${name})
  add_test(NAME ${test} COMMAND ${CMAKE_COMMAND} -E echo "skipped: ${missing} is not installed")
  set_tests_properties(${test} PROPERTIES LABELS programs SKIP_REGULAR_EXPRESSION "skipped: ")
endfunction()

# railyard_program_test(<name> PROFILE <profile> [RANKS <number>] [LINK <how cables are>]
#                       [EXPECT <regular expression>] <program> [argument...])
# One rank a node; with {peer} among the arguments, rank 0 is the server of the others. What it prints is
# compared with EXPECT, whatever its exit code; without that, it must be 0.
function(railyard_program_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PROFILE;RANKS;LINK;EXPECT" "")
  list(POP_FRONT arg_UNPARSED_ARGUMENTS program)
  set(ranks 2)
  if(arg_RANKS)
    set(ranks ${arg_RANKS})
  endif()
  find_program(RAILYARD_PROGRAM_${program} ${program})
  set(path ${RAILYARD_PROGRAM_${program}})
  if(NOT path)
    railyard_skipped_program_test(${name} ${program})
    return()
  endif()
  set(cluster -n ${ranks} --profile ${arg_PROFILE})
  if(arg_LINK)
    list(APPEND cluster --link ${arg_LINK})
  endif()
  set(test simulator.program.${name})
  add_test(NAME ${test} COMMAND railyard exec ${cluster} -- ${path}
           ${arg_UNPARSED_ARGUMENTS})
  # The pingpongs report bad payload in words and exit with 0.
  set_tests_properties(${test} PROPERTIES TIMEOUT 60 LABELS programs
                       FAIL_REGULAR_EXPRESSION "invalid data")
  if(arg_EXPECT)
    set_tests_properties(${test} PROPERTIES PASS_REGULAR_EXPRESSION "${arg_EXPECT}")
  endif()
endfunction()

# railyard_pair_test(<name> [AT_ONCE] [PROFILE <profile>] SERVER <command> CLIENT <command>)
# The commands are for tests/simulator/pair.sh. AT_ONCE: nobody can see that the server listens, and the
# client comes again.
function(railyard_pair_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "AT_ONCE" "PROFILE;SERVER;CLIENT" "")
  set(test simulator.program.${name})
  string(REGEX REPLACE "^(env ([A-Z_]+=[^ ]+ )+)" "" program "${arg_CLIENT}")
  string(REGEX MATCH "^[^ ]+" program "${program}")
  find_program(RAILYARD_PROGRAM_${program} ${program})
  if(NOT RAILYARD_PROGRAM_${program})
    railyard_skipped_program_test(${name} ${program})
    return()
  endif()
  set(profile connectx)
  if(arg_PROFILE)
    set(profile ${arg_PROFILE})
  endif()
  set(peer {peer})
  if(arg_AT_ONCE)
    set(peer rank:{rank})
  endif()
  add_test(NAME ${test} COMMAND railyard exec -n 2 --profile ${profile} --
           ${CMAKE_CURRENT_SOURCE_DIR}/pair.sh {port} ${arg_SERVER} ${arg_CLIENT} ${peer})
  set_tests_properties(${test} PROPERTIES TIMEOUT 90 LABELS programs)
  if(arg_SERVER MATCHES "^endless ")  # and so ended by a signal
    set_tests_properties(${test} PROPERTIES PASS_REGULAR_EXPRESSION "the client has succeeded")
  endif()
endfunction()
