# Makes what forwards the verbs that the pass-through library does not look at: for each symbol of the
# simulator's drop-in library a jump through a table, which is filled when the real library is loaded.
#
#   cmake -D VERBS=<simulator/verbs> -D WRAPPED=<names> -D OUTPUT=<directory> -D PROCESSOR=<name>
#         -D APPLE=<bool> -P forwards.cmake
#
# Writes forwards.S, slots.inc (a line for each slot: name, version node) and passthrough.map.

cmake_minimum_required(VERSION 3.25)
file(READ ${VERBS}/libibverbs.map map)
file(STRINGS ${VERBS}/private_stubs.cpp stubs)

set(private_nodes IBVERBS_PRIVATE_34 IBVERBS_PRIVATE_59 IBVERBS_PRIVATE_64)
set(code "/* Made by CMake from simulator/verbs. */\n")
set(slots "")
set(count 0)
set(symbol_prefix "")
if(APPLE)
  set(symbol_prefix "_")
  string(APPEND code ".text\n")
else()
  string(APPEND code ".section .note.GNU-stack,\"\",%progbits\n.text\n")
endif()

# A label that jumps through the next slot.
macro(add_jump label name node)
  math(EXPR offset "${count} * 8")
  set(table ${symbol_prefix}railyard_passthrough_slots)
  string(APPEND code ".globl ${symbol_prefix}${label}\n")
  if(NOT APPLE)
    string(APPEND code ".type ${label},%function\n")
  endif()
  string(APPEND code ".p2align 4\n${symbol_prefix}${label}:\n")
  if(PROCESSOR MATCHES "x86_64|AMD64")
    string(APPEND code "  jmp *${table}+${offset}(%rip)\n")
  elseif(APPLE)
    string(APPEND code "  adrp x16, ${table}@PAGE\n  add x16, x16, ${table}@PAGEOFF\n"
                       "  ldr x16, [x16, #${offset}]\n  br x16\n")
  else()
    string(APPEND code "  adrp x16, ${table}\n  add x16, x16, :lo12:${table}\n"
                       "  ldr x16, [x16, #${offset}]\n  br x16\n")
  endif()
  string(APPEND slots "SLOT(\"${name}\", \"${node}\")\n")
  math(EXPR count "${count} + 1")
endmacro()

# The public nodes.
string(REGEX MATCHALL "\n    [a-z_0-9]+;" public "${map}")
foreach(entry ${public})
  string(REGEX REPLACE "[\n ;]" "" name "${entry}")
  if(NOT name STREQUAL "" AND NOT name IN_LIST WRAPPED)
    add_jump(${name} ${name} "")
  endif()
endforeach()

# The nodes that the stubs enter theirs by .symver lines.
if(NOT APPLE)
  foreach(line ${stubs})
    if(line MATCHES "^PRIVATE\\([a-z_]+, ([A-Za-z0-9_]+)\\)")
      set(name ${CMAKE_MATCH_1})
      if(name STREQUAL "verbs_allow_disassociate_destroy")
        continue()  # an object; real.cpp has it
      endif()
      foreach(node ${private_nodes})
        add_jump(railyard_passthrough_${name}_${node} ${name} ${node})
        string(APPEND code ".symver railyard_passthrough_${name}_${node},${name}@${node}\n")
      endforeach()
    elseif(line MATCHES "^AT\\(railyard_abi_[a-z_]+, ([A-Za-z0-9_]+), \"([A-Z_0-9.]+)\"\\)")
      set(name ${CMAKE_MATCH_1})
      set(node ${CMAKE_MATCH_2})
      string(REPLACE "." "_" suffix ${node})
      add_jump(railyard_passthrough_${name}_${suffix} ${name} ${node})
      string(APPEND code ".symver railyard_passthrough_${name}_${suffix},${name}@${node}\n")
    endif()
  endforeach()
endif()

file(WRITE ${OUTPUT}/forwards.S "${code}")
file(WRITE ${OUTPUT}/slots.inc "${slots}")
