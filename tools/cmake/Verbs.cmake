# RAILYARD_VERBS_INCLUDE: where <infiniband/verbs.h> is. The simulator needs all of it, as rdma-core
# has it; macOS has it from 26.2 on, and the part that its devices need.

# railyard_second_name(<target> <file>): the other name by which programs load a library.
function(railyard_second_name target file)
  add_custom_command(TARGET ${target} POST_BUILD
    COMMAND ${CMAKE_COMMAND} -E create_symlink $<TARGET_FILE_NAME:${target}>
            $<TARGET_FILE_DIR:${target}>/${file})
endfunction()

set(vendored ${CMAKE_CURRENT_LIST_DIR}/../../simulator/vendor/rdma-core)
cmake_path(NORMAL_PATH vendored)
if(APPLE)
  set(RAILYARD_VERBS_INCLUDE ${vendored} ${vendored}/apple)
else()
  find_path(RAILYARD_VERBS_INCLUDE infiniband/verbs.h REQUIRED)
endif()
