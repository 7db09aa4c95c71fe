# railyard_add_scenarios(DIR <dir> [PROGRAM <target>] [SKIP <name>...] [LABELS <label>...]
#                        [TIMEOUT <seconds>] [PREFIX <prefix>])
#
# Makes each scenario file in <dir> (not below it) a test of ctest, named <prefix><file>, with the label
# "scenarios" and those given. Tests may run at the same time (ctest -j): each has a cluster, ports and
# files of its own.
#   PROGRAM  the target that runs as every rank of scenarios with a "program", in place of its first word
#   SKIP     scenarios, without .json, that are left out
#   TIMEOUT  of each test, in seconds (60)
#   PREFIX   of the tests' names ("scenario.")
function(railyard_add_scenarios)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "DIR;PROGRAM;TIMEOUT;PREFIX" "SKIP;LABELS")
  if(NOT arg_DIR OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "railyard_add_scenarios(DIR <dir> [PROGRAM <target>] [SKIP <name>...] "
                        "[LABELS <label>...] [TIMEOUT <seconds>] [PREFIX <prefix>])")
  endif()
  set(command railyard)  # this project's
  if(TARGET railyard::railyard)
    set(command railyard::railyard)  # an installed one
  endif()
  set(program "")
  if(arg_PROGRAM)
    set(program --program $<TARGET_FILE:${arg_PROGRAM}>)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 60)
  endif()
  if(NOT DEFINED arg_PREFIX)
    set(arg_PREFIX scenario.)
  endif()
  cmake_path(ABSOLUTE_PATH arg_DIR NORMALIZE OUTPUT_VARIABLE directory)
  if(NOT IS_DIRECTORY ${directory})
    message(FATAL_ERROR "railyard_add_scenarios: there is no directory ${directory}")
  endif()
  file(GLOB files CONFIGURE_DEPENDS ${directory}/*.json)
  foreach(file IN LISTS files)
    cmake_path(GET file STEM LAST_ONLY name)
    # x.schema.json, x.cluster.json and their like are no scenarios.
    if(name MATCHES "[.]" OR name IN_LIST arg_SKIP)
      continue()
    endif()
    add_test(NAME ${arg_PREFIX}${name} COMMAND ${command} run ${program} ${file})
    set_tests_properties(${arg_PREFIX}${name} PROPERTIES
      TIMEOUT ${arg_TIMEOUT} LABELS "scenarios;${arg_LABELS}")
  endforeach()
endfunction()
