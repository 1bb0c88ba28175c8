# zig c++, a clang with the libraries of many systems. The environment says where it is and for which it compiles:
# ZIG=.../zig ZIG_TARGET=aarch64-linux-musl
string(REPLACE "-" ";" _target "$ENV{ZIG_TARGET}")
list(GET _target 0 CMAKE_SYSTEM_PROCESSOR)
list(GET _target 1 _system)
if(_system STREQUAL "macos")
  set(CMAKE_SYSTEM_NAME Darwin)
  set(CMAKE_INSTALL_NAME_TOOL true) # there is none, and nothing is installed
elseif(_system STREQUAL "windows")
  set(CMAKE_SYSTEM_NAME Windows)
else()
  set(CMAKE_SYSTEM_NAME Linux)
endif()
# Its own default is to check for undefined behaviour.
set(_flags -target $ENV{ZIG_TARGET} -fno-sanitize=all)
set(CMAKE_C_COMPILER $ENV{ZIG} cc ${_flags})
set(CMAKE_CXX_COMPILER $ENV{ZIG} c++ ${_flags})
foreach(language C CXX)
  set(CMAKE_${language}_ARCHIVE_CREATE "$ENV{ZIG} ar qc <TARGET> <LINK_FLAGS> <OBJECTS>")
  set(CMAKE_${language}_ARCHIVE_FINISH "$ENV{ZIG} ranlib <TARGET>")
endforeach()
