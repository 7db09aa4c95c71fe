# What `cmake --install` puts where, and the packages made of it.
#
#   bin/                  railyard and the workers that it starts
#   lib/railyard/         the drop-in verbs library, and the one that passes through: not where
#                         other programs look for the system's
#   lib/, include/        the collective runtime, to link with
#   lib/cmake/railyard/   find_package(railyard)
#   share/railyard/       scenarios and schemas
include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(programs "")
foreach(program railyard railyard-rank railyard-rank-sim railyard-faulty railyard-bench railyard-host)
  if(TARGET ${program})
    list(APPEND programs ${program})
  endif()
endforeach()
if(APPLE)
  set(beside "@loader_path/../lib/railyard")
else()
  set(beside "$ORIGIN/../lib/railyard")
endif()
set_target_properties(${programs} PROPERTIES INSTALL_RPATH ${beside})
set_target_properties(railyard PROPERTIES EXPORT_NAME railyard)
install(TARGETS railyard EXPORT railyardTargets RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})
list(REMOVE_ITEM programs railyard)
install(TARGETS ${programs} RUNTIME DESTINATION ${CMAKE_INSTALL_BINDIR})

foreach(library railyard-ibverbs railyard-paths)
  if(TARGET ${library})
    install(TARGETS ${library} LIBRARY DESTINATION lib/railyard NAMELINK_SKIP)
  endif()
endforeach()

if(TARGET railyard-passthrough)
  install(TARGETS railyard-passthrough LIBRARY DESTINATION lib/railyard/passthrough NAMELINK_SKIP)
endif()

set_target_properties(railyard-runtime PROPERTIES EXPORT_NAME runtime)
set_target_properties(railyard-runtime-base PROPERTIES EXPORT_NAME runtime-base)
set_target_properties(railyard-nn PROPERTIES EXPORT_NAME nn)
install(TARGETS railyard-runtime railyard-runtime-base railyard-nn EXPORT railyardTargets
        ARCHIVE DESTINATION ${CMAKE_INSTALL_LIBDIR}
        INCLUDES DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
install(DIRECTORY runtime/include/ runtime/nn/include/ DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})

set(package ${CMAKE_INSTALL_LIBDIR}/cmake/railyard)
install(EXPORT railyardTargets NAMESPACE railyard:: DESTINATION ${package})
configure_package_config_file(tools/packaging/railyardConfig.cmake.in
  ${PROJECT_BINARY_DIR}/railyardConfig.cmake INSTALL_DESTINATION ${package})
write_basic_package_version_file(${PROJECT_BINARY_DIR}/railyardConfigVersion.cmake
                                 COMPATIBILITY SameMinorVersion)
install(FILES ${PROJECT_BINARY_DIR}/railyardConfig.cmake
              ${PROJECT_BINARY_DIR}/railyardConfigVersion.cmake
              tools/cmake/RailyardScenarios.cmake DESTINATION ${package})

install(DIRECTORY scenarios DESTINATION ${CMAKE_INSTALL_DATADIR}/railyard)
install(FILES harness/report/report.schema.json DESTINATION ${CMAKE_INSTALL_DATADIR}/railyard)
install(FILES README.md DESTINATION ${CMAKE_INSTALL_DOCDIR})
install(FILES harness/report/page/vendor/d3.LICENSE DESTINATION ${CMAKE_INSTALL_DOCDIR})

set(CPACK_PACKAGE_NAME railyard)
set(CPACK_PACKAGE_VENDOR Railyard)
set(CPACK_PACKAGE_CONTACT "Railyard <railyard@localhost>")
set(CPACK_PACKAGE_DESCRIPTION_SUMMARY "${PROJECT_DESCRIPTION}")
set(CPACK_STRIP_FILES ON)
set(CPACK_GENERATOR DEB)
set(CPACK_PACKAGING_INSTALL_PREFIX /usr)
set(CPACK_DEBIAN_FILE_NAME DEB-DEFAULT)
set(CPACK_DEBIAN_PACKAGE_SECTION devel)
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS ON)
# The programs' verbs library is the one in lib/railyard.
set(CPACK_DEBIAN_PACKAGE_SHLIBDEPS_PRIVATE_DIRS ${CMAKE_LIBRARY_OUTPUT_DIRECTORY})
set(CPACK_DEBIAN_PACKAGE_SUGGESTS "libfmt-dev, libhwy-dev, libeigen3-dev, nlohmann-json3-dev")
include(CPack)
