# must(<what> COMMAND ...): runs it and ends the test when it fails.
function(must what)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "DIRECTORY;OUT" "COMMAND")
  if(NOT arg_DIRECTORY)
    set(arg_DIRECTORY ${WORK})
  endif()
  execute_process(COMMAND ${arg_COMMAND} WORKING_DIRECTORY ${arg_DIRECTORY}
                  RESULT_VARIABLE result OUTPUT_VARIABLE out ERROR_VARIABLE out)
  if(NOT result EQUAL 0)
    message(FATAL_ERROR "${what}: ${result}\n${out}")
  endif()
  if(arg_OUT AND NOT out MATCHES "${arg_OUT}")
    message(FATAL_ERROR "${what} does not say '${arg_OUT}':\n${out}")
  endif()
endfunction()

file(REMOVE_RECURSE ${WORK})
file(MAKE_DIRECTORY ${WORK})
