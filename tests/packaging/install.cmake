# Installs into a prefix, and builds and runs the example project with what is there.
include(${CMAKE_CURRENT_LIST_DIR}/common.cmake)
set(prefix ${WORK}/prefix)
must("installing" COMMAND ${CMAKE_COMMAND} --install ${BUILD} --prefix ${prefix})
must("the installed command line" COMMAND ${prefix}/bin/railyard run empty.json all-sum-mesh.json --jobs 2
     DIRECTORY ${prefix}/share/railyard/scenarios OUT "2 passed, 0 failed")
must("scenarios that come along" COMMAND ${prefix}/bin/railyard list OUT "cable-swap +crossed-rails")
must("configuring the example" COMMAND ${CMAKE_COMMAND} -S ${SOURCE}/tools/packaging/example
     -B ${WORK}/example -G ${GENERATOR} -DCMAKE_PREFIX_PATH=${prefix} -DCMAKE_CXX_COMPILER=${CXX})
must("building the example" COMMAND ${CMAKE_COMMAND} --build ${WORK}/example)
must("the example's tests" COMMAND ctest -j8 --output-on-failure -L scenarios
     DIRECTORY ${WORK}/example OUT "100% tests passed, 0 tests failed out of 2")
file(REMOVE_RECURSE ${WORK})
