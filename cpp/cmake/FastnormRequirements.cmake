# Says what is missing before the compiler says it in a page of templates.

set(_fastnorm_compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
foreach(least GNU=11 Clang=14 AppleClang=15 MSVC=19.30 IntelLLVM=2022)
  string(REPLACE "=" ";" least ${least})
  list(GET least 0 id)
  list(GET least 1 version)
  if(CMAKE_CXX_COMPILER_ID STREQUAL id AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS version)
    message(FATAL_ERROR "fastnorm needs ${id} ${version} or newer, got ${_fastnorm_compiler}. "
      "Name another compiler with -DCMAKE_CXX_COMPILER=... or the environment variable CXX.")
  endif()
endforeach()

if(NOT CMAKE_SIZEOF_VOID_P EQUAL 8)
  math(EXPR bits "8 * ${CMAKE_SIZEOF_VOID_P}")
  message(FATAL_ERROR "fastnorm needs a 64-bit target, got one of ${bits} bits from ${_fastnorm_compiler}.")
endif()

# Clang comes with the library of another compiler, or with one that macOS brings.
include(CheckCXXSourceCompiles)
include(CMakePushCheckState)
cmake_push_check_state(RESET)
set(CMAKE_REQUIRED_FLAGS ${CMAKE_CXX17_STANDARD_COMPILE_OPTION})
check_cxx_source_compiles("#include <charconv>
  int main() { char text[32]; std::to_chars(text, text + 32, 0.5); }" FASTNORM_HAS_TO_CHARS)
cmake_pop_check_state()
if(NOT FASTNORM_HAS_TO_CHARS)
  message(FATAL_ERROR "fastnorm needs a C++17 library with std::to_chars for floating-point numbers, which "
    "${_fastnorm_compiler} does not find: that of GCC 11, of LLVM 14, or of a deployment target of macOS 13.3, or newer.")
endif()
