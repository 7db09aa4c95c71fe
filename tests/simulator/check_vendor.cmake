# Every vendored header has the checksum that SHA256SUMS states.
file(STRINGS ${VENDOR}/SHA256SUMS lines)
foreach(line ${lines})
  string(REGEX MATCH "^([0-9a-f]+)  (.+)$" matched "${line}")
  file(SHA256 ${VENDOR}/${CMAKE_MATCH_2} actual)
  if(NOT actual STREQUAL CMAKE_MATCH_1)
    message(FATAL_ERROR "${CMAKE_MATCH_2} has the checksum ${actual}, SHA256SUMS says ${CMAKE_MATCH_1}")
  endif()
endforeach()
