# railyard_add_scenarios(DIR <dir> [PROGRAM <target>] [SKIP <name>...])
#
# Makes each scenario file in <dir> (not below it) a test of ctest, named scenario.<file>, with the
# label "scenarios". PROGRAM is the target of the command line; by default this project's `railyard`.
# SKIP names scenarios, without .json, that are left out.
function(railyard_add_scenarios)
  cmake_parse_arguments(PARSE_ARGV 0 arg "" "DIR;PROGRAM" "SKIP")
  if(NOT arg_DIR OR arg_UNPARSED_ARGUMENTS)
    message(FATAL_ERROR "railyard_add_scenarios(DIR <dir> [PROGRAM <target>] [SKIP <name>...])")
  endif()
  if(NOT arg_PROGRAM)
    set(arg_PROGRAM railyard)
  endif()
  cmake_path(ABSOLUTE_PATH arg_DIR NORMALIZE OUTPUT_VARIABLE directory)
  file(GLOB files CONFIGURE_DEPENDS ${directory}/*.json)
  foreach(file IN LISTS files)
    cmake_path(GET file STEM LAST_ONLY name)
    # x.schema.json, x.cluster.json and their like are no scenarios.
    if(name MATCHES "[.]" OR name IN_LIST arg_SKIP)
      continue()
    endif()
    add_test(NAME scenario.${name} COMMAND ${arg_PROGRAM} run ${file})
    set_tests_properties(scenario.${name} PROPERTIES TIMEOUT 60 LABELS scenarios)
  endforeach()
endfunction()
