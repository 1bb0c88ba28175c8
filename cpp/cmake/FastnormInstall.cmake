# `cmake --install`: header, library, and the package files behind find_package(fastnorm).

include(GNUInstallDirs)
include(CMakePackageConfigHelpers)

set(_fastnorm_package_dir "${CMAKE_INSTALL_LIBDIR}/cmake/fastnorm")

# What a static library was linked with, its user must link too: the package file then looks for it.
get_target_property(_fastnorm_type fastnorm TYPE)
set(FASTNORM_IS_STATIC OFF)
if(_fastnorm_type STREQUAL "STATIC_LIBRARY")
  set(FASTNORM_IS_STATIC ON)
endif()
set(FASTNORM_THREADS_DEPENDENCY "Threads")
if(FASTNORM_OPENMP)
  set(FASTNORM_THREADS_DEPENDENCY "OpenMP COMPONENTS CXX")
endif()

install(DIRECTORY cpp/include/fastnorm DESTINATION "${CMAKE_INSTALL_INCLUDEDIR}")
install(TARGETS fastnorm EXPORT fastnormTargets
  ARCHIVE DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  LIBRARY DESTINATION "${CMAKE_INSTALL_LIBDIR}"
  RUNTIME DESTINATION "${CMAKE_INSTALL_BINDIR}")
install(EXPORT fastnormTargets NAMESPACE fastnorm:: DESTINATION "${_fastnorm_package_dir}")

configure_package_config_file(
  "${CMAKE_CURRENT_LIST_DIR}/fastnormConfig.cmake.in" "${PROJECT_BINARY_DIR}/fastnormConfig.cmake"
  INSTALL_DESTINATION "${_fastnorm_package_dir}")
write_basic_package_version_file("${PROJECT_BINARY_DIR}/fastnormConfigVersion.cmake"
  COMPATIBILITY SameMajorVersion)
install(FILES
  "${PROJECT_BINARY_DIR}/fastnormConfig.cmake" "${PROJECT_BINARY_DIR}/fastnormConfigVersion.cmake"
  DESTINATION "${_fastnorm_package_dir}")
