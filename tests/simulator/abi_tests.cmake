# What the drop-in library exports, against the list and against the programs installed here.
find_package(Python3 REQUIRED COMPONENTS Interpreter)
set(check_exports Python3::Interpreter ${CMAKE_CURRENT_SOURCE_DIR}/check_exports.py
    $<TARGET_FILE:railyard-ibverbs> ${CMAKE_CURRENT_SOURCE_DIR}/exports.txt)

add_test(NAME simulator.abi.exports COMMAND ${check_exports})
add_test(NAME simulator.abi.consumers COMMAND ${check_exports} --consumers)
set_tests_properties(simulator.abi.exports simulator.abi.consumers
                     PROPERTIES SKIP_RETURN_CODE 77 TIMEOUT 300)

# perftest binds every private symbol of its providers before main().
find_program(RAILYARD_IB_SEND_LAT ib_send_lat)
if(RAILYARD_IB_SEND_LAT)
  add_test(NAME simulator.abi.bind_now COMMAND ${RAILYARD_IB_SEND_LAT} --version)
  # Its exit code is 1 even so.
  set_tests_properties(simulator.abi.bind_now PROPERTIES TIMEOUT 30
    PASS_REGULAR_EXPRESSION "Version: " ENVIRONMENT
    "LD_BIND_NOW=1;LD_LIBRARY_PATH=$<TARGET_FILE_DIR:railyard-ibverbs>")
else()
  add_test(NAME simulator.abi.bind_now
           COMMAND ${CMAKE_COMMAND} -E echo "skipped: ib_send_lat (package perftest) is not installed")
  set_tests_properties(simulator.abi.bind_now PROPERTIES SKIP_REGULAR_EXPRESSION "skipped: ")
endif()

add_executable(railyard-abi-tests abi_agreement_test.cpp)
railyard_target(railyard-abi-tests)
target_include_directories(railyard-abi-tests SYSTEM PRIVATE ${RAILYARD_VERBS_INCLUDE})
target_compile_definitions(railyard-abi-tests PRIVATE
  RAILYARD_LIBRARY="$<TARGET_FILE:railyard-ibverbs>"
  RAILYARD_ARCHITECTURE="${CMAKE_LIBRARY_ARCHITECTURE}")
target_link_libraries(railyard-abi-tests PRIVATE GTest::gtest_main ${CMAKE_DL_LIBS})
add_dependencies(railyard-abi-tests railyard-ibverbs)
gtest_discover_tests(railyard-abi-tests TEST_PREFIX simulator.)
