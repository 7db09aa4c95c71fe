# Open MPI's ranks on simulated nodes, over its own transport for verbs and over UCX.

find_package(MPI QUIET COMPONENTS C)
find_program(RAILYARD_PROGRAM_mpirun mpirun)
if(MPI_C_FOUND AND RAILYARD_PROGRAM_mpirun)
  execute_process(COMMAND ${RAILYARD_PROGRAM_mpirun} --version OUTPUT_VARIABLE version ERROR_QUIET)
endif()
if(NOT version MATCHES "Open MPI")
  railyard_skipped_program_test(openmpi "Open MPI with its compiler")
  return()
endif()

add_executable(railyard-mpi-exchange programs/mpi_exchange.c)
target_link_libraries(railyard-mpi-exchange PRIVATE MPI::MPI_C)
set_target_properties(railyard-mpi-exchange PROPERTIES C_STANDARD 11)

# railyard_mpi_test(<name> <ranks> [argument of mpirun...])
function(railyard_mpi_test name ranks)
  set(test simulator.program.openmpi.${name}.${ranks})
  add_test(NAME ${test} COMMAND railyard exec -n ${ranks} --launcher --profile connectx --
           ${RAILYARD_PROGRAM_mpirun} --allow-run-as-root --oversubscribe -np ${ranks} ${ARGN}
           $<TARGET_FILE:railyard-mpi-exchange>)
  # Ranks that share cores are not to be bound to one, and yield while they wait.
  set_tests_properties(${test} PROPERTIES TIMEOUT 120 LABELS programs
                       ENVIRONMENT "OMPI_MCA_hwloc_base_binding_policy=none;OMPI_MCA_mpi_yield_when_idle=1"
                       PASS_REGULAR_EXPRESSION "${ranks} ranks: all has arrived")
endfunction()

foreach(ranks 2 4)
  railyard_mpi_test(openib ${ranks} --mca pml ob1 --mca btl openib,self --mca btl_openib_allow_ib 1)
  railyard_mpi_test(ucx ${ranks} --mca pml ucx --mca osc ucx --mca opal_common_ucx_tls any
                    --mca opal_common_ucx_devices any -x UCX_TLS=rc_verbs,ud_verbs,self
                    -x UCX_NET_DEVICES=mlx5_0:1)
endforeach()
