# Says what is missing before the compiler says it in a page of templates.

set(_fastnorm_compiler "${CMAKE_CXX_COMPILER_ID} ${CMAKE_CXX_COMPILER_VERSION} (${CMAKE_CXX_COMPILER})")
foreach(least GNU=9 Clang=10 AppleClang=13 MSVC=19.30 IntelLLVM=2022)
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
