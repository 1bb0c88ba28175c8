# The flags of every target of this project.
#
# There is no -march and no per-file -m flag: inline functions compiled twice under different flags break the
# one-definition rule. Highway sets the instruction set per function instead.
#
# a*b+c is never contracted to a fused operation behind our back: which operations are fused is part of the promise
# that results do not depend on the SIMD target.

# Loops and functions begin on lines of the cache: where they lie by chance changes with every edit elsewhere. One row of
# 4096, layer norm, took 1.22 times as long in one build as in another, and 1.04 with this (an AMD EPYC, Zen 4).

include(CheckCXXCompilerFlag)
check_cxx_compiler_flag(-falign-loops=64 FASTNORM_HAS_ALIGN_LOOPS)
include(CheckLinkerFlag)
if(CMAKE_SYSTEM_NAME STREQUAL "Linux")
  check_linker_flag(CXX LINKER:--exclude-libs,ALL FASTNORM_HAS_EXCLUDE_LIBS)
endif()

# With FASTNORM_NATIVE one target of SIMD is left: AVX-512 where this machine has what Highway wants for it, or else AVX2.
if(FASTNORM_NATIVE)
  include(CheckCXXSourceRuns)
  check_cxx_source_runs("
    int main() {
      return __builtin_cpu_supports(\"avx512f\") && __builtin_cpu_supports(\"avx512vl\") &&
             __builtin_cpu_supports(\"avx512dq\") && __builtin_cpu_supports(\"avx512bw\") &&
             __builtin_cpu_supports(\"avx512cd\") ? 0 : 1;
    }" FASTNORM_HOST_HAS_AVX512)
endif()

function(fastnorm_compile_options target)
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD 17
    CXX_STANDARD_REQUIRED ON
    CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden
    VISIBILITY_INLINES_HIDDEN ON)

  if(FASTNORM_NATIVE AND FASTNORM_HOST_HAS_AVX512)
    target_compile_definitions(${target} PRIVATE FASTNORM_FEW_TARGETS=HWY_AVX3)
  elseif(FASTNORM_NATIVE OR FASTNORM_FEW_TARGETS OR FASTNORM_SANITIZE OR FASTNORM_TSAN OR FASTNORM_FUZZ)
    target_compile_definitions(${target} PRIVATE FASTNORM_FEW_TARGETS=HWY_AVX2)
  endif()

  if(MSVC)
    # The tables of kernels are constexpr and extern at once. 4275: Error is one of the standard library's exceptions.
    target_compile_options(${target} PRIVATE /W4 /wd4275 /fp:precise /Zc:externConstexpr /bigobj /utf-8)
    if(CMAKE_CXX_COMPILER_ID MATCHES "Clang") # clang-cl, whose /fp:precise contracts
      target_compile_options(${target} PRIVATE /clang:-ffp-contract=off /clang:-fno-math-errno)
    endif()
    return()
  endif()

  # Without errno a square root is one instruction; its value is the same.
  target_compile_options(${target} PRIVATE -Wall -Wextra -ffp-contract=off -fno-math-errno)
  if(FASTNORM_HAS_ALIGN_LOOPS)
    target_compile_options(${target} PRIVATE -falign-functions=64 -falign-loops=64)
  endif()

  # Symbols of a static Highway stay inside our binary: another extension of the process may carry another version.
  # Not those of clang's sanitizers, which are static and stand in for the system's.
  if(FASTNORM_HAS_EXCLUDE_LIBS AND NOT FASTNORM_FUZZ)
    target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL)
  endif()

  if(FASTNORM_SANITIZE OR FASTNORM_TSAN)
    set(sanitize -fsanitize=address,undefined -fno-sanitize-recover=undefined)
    if(FASTNORM_TSAN)
      set(sanitize -fsanitize=thread)
    elseif(CMAKE_CXX_COMPILER_ID MATCHES "Clang")
      list(APPEND sanitize -shared-libasan)
    endif()
    # Checked code at -O3 -g takes the compiler many minutes for the kernels; line numbers are enough for a trace.
    target_compile_options(${target} PRIVATE ${sanitize} -fno-omit-frame-pointer -O1 -g1)
    target_link_options(${target} PUBLIC ${sanitize})
  endif()
endfunction()

# Compiles the sources of each of these folders of cpp/src as one: most of the compiler's time goes into the headers and
# templates that they share. With -DCMAKE_UNITY_BUILD=OFF one by one.
function(fastnorm_fold target)
  if(DEFINED CMAKE_UNITY_BUILD AND NOT CMAKE_UNITY_BUILD)
    return()
  endif()
  set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_MODE GROUP)
  get_target_property(sources ${target} SOURCES)
  foreach(folder ${ARGN})
    set(folded ${sources})
    list(FILTER folded INCLUDE REGEX "src/${folder}/")
    set_property(SOURCE ${folded} PROPERTY UNITY_GROUP ${folder})
  endforeach()
endfunction()
