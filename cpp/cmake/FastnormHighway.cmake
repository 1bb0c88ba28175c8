# Finds Google Highway and sets FASTNORM_HIGHWAY_TARGET to the target to link.
#
# An installed Highway comes first (libhwy-dev, brew install highway); else the release pinned here is downloaded and
# built static. FETCHCONTENT_SOURCE_DIR_HWY points the build at an unpacked source tree instead of the download.

set(FASTNORM_HIGHWAY_MINIMUM 1.0.3)
set(FASTNORM_HIGHWAY_RELEASE 1.2.0)
set(FASTNORM_HIGHWAY_URL
  "https://github.com/google/highway/archive/refs/tags/${FASTNORM_HIGHWAY_RELEASE}.tar.gz")
set(FASTNORM_HIGHWAY_SHA256 7e0be78b8318e8bdbf6fa545d2ecb4c90f947df03f7aadc42c1967f019e63343)

# The download is made here and not by FetchContent, whose own failure could not tell the user what to install.
function(_fastnorm_download_highway archive)
  if(EXISTS "${archive}")
    file(SHA256 "${archive}" sha256)
    if(sha256 STREQUAL FASTNORM_HIGHWAY_SHA256)
      return()
    endif()
  endif()
  message(STATUS "fastnorm: downloading Highway ${FASTNORM_HIGHWAY_RELEASE}")
  file(DOWNLOAD "${FASTNORM_HIGHWAY_URL}" "${archive}" STATUS status TLS_VERIFY ON INACTIVITY_TIMEOUT 60)
  list(GET status 0 code)
  list(GET status 1 reason)
  if(code EQUAL 0)
    file(SHA256 "${archive}" sha256)
    if(NOT sha256 STREQUAL FASTNORM_HIGHWAY_SHA256)
      set(code 1)
      set(reason "the archive has SHA256 ${sha256}, expected ${FASTNORM_HIGHWAY_SHA256}")
    endif()
  endif()
  if(NOT code EQUAL 0)
    file(REMOVE "${archive}")
    message(FATAL_ERROR
      "fastnorm needs Google Highway ${FASTNORM_HIGHWAY_MINIMUM} or newer.\n"
      "None is installed, and the download of ${FASTNORM_HIGHWAY_URL} failed: ${reason}.\n"
      "Install it:\n"
      "  Debian, Ubuntu   apt-get install libhwy-dev\n"
      "  Fedora           dnf install highway-devel\n"
      "  macOS            brew install highway\n"
      "or unpack a release and pass -DFETCHCONTENT_SOURCE_DIR_HWY=/path/to/highway.")
  endif()
endfunction()

function(_fastnorm_fetch_highway)
  include(FetchContent)
  set(archive "${CMAKE_CURRENT_BINARY_DIR}/highway-${FASTNORM_HIGHWAY_RELEASE}.tar.gz")
  if(NOT FETCHCONTENT_SOURCE_DIR_HWY)
    _fastnorm_download_highway("${archive}")
  endif()
  set(HWY_ENABLE_CONTRIB OFF CACHE BOOL "" FORCE)
  set(HWY_ENABLE_EXAMPLES OFF CACHE BOOL "" FORCE)
  set(HWY_ENABLE_TESTS OFF CACHE BOOL "" FORCE)
  set(HWY_FORCE_STATIC_LIBS ON CACHE BOOL "" FORCE)
  # A static fastnorm leaves its users to link Highway, so then Highway is installed beside it.
  if(FASTNORM_INSTALL AND NOT SKBUILD AND NOT BUILD_SHARED_LIBS)
    set(HWY_ENABLE_INSTALL ON CACHE BOOL "" FORCE)
  else()
    set(HWY_ENABLE_INSTALL OFF CACHE BOOL "" FORCE)
  endif()
  FetchContent_Declare(hwy URL "${archive}" URL_HASH SHA256=${FASTNORM_HIGHWAY_SHA256})
  FetchContent_MakeAvailable(hwy)
  # Warnings in its headers are not ours to mend.
  get_target_property(include_dirs hwy INTERFACE_INCLUDE_DIRECTORIES)
  set_target_properties(hwy PROPERTIES
    INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${include_dirs}"
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)
endfunction()

if(NOT TARGET hwy AND NOT FASTNORM_FETCH_HIGHWAY AND NOT FETCHCONTENT_SOURCE_DIR_HWY)
  find_package(hwy ${FASTNORM_HIGHWAY_MINIMUM} CONFIG QUIET)
endif()

if(TARGET hwy)
  # A project that embeds this one by add_subdirectory brought its own.
  set(FASTNORM_HIGHWAY_TARGET hwy)
elseif(TARGET hwy::hwy)
  set(FASTNORM_HIGHWAY_TARGET hwy::hwy)
  message(STATUS "fastnorm: installed Highway ${hwy_VERSION}")
else()
  _fastnorm_fetch_highway()
  set(FASTNORM_HIGHWAY_TARGET hwy)
  message(STATUS "fastnorm: Highway built from source")
endif()
