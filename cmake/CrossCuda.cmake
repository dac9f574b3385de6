# The CUDA device family, with CROSS_CUDA=ON only: compiler, libraries, and how its layers are built.
#
# Portable kernels are compiled for compute capability 8.0 and shipped as PTX too, so that later GPUs can run them;
# kernels that use Hopper's instructions are compiled for 9.0a alone. Architectures belong to a target, so every set of
# files with architectures of its own is an object library of its own (cross_cuda_layer).
if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
  find_program(CROSS_NVCC nvcc HINTS /usr/local/cuda/bin ENV CUDA_PATH PATH_SUFFIXES bin)
  if(CROSS_NVCC)
    set(CMAKE_CUDA_COMPILER ${CROSS_NVCC})
  endif()
endif()
if(NOT DEFINED CMAKE_CUDA_ARCHITECTURES)
  set(CMAKE_CUDA_ARCHITECTURES 80-real) # of the compiler check; every target sets its own
endif()
set(CMAKE_CUDA_RUNTIME_LIBRARY Static)
enable_language(CUDA)
# The project's C++20 counts for CUDA too; CMake 3.25.1 does not know nvcc's option for it.
if(NOT CMAKE_CUDA20_STANDARD_COMPILE_OPTION)
  set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION "-std=c++20")
  set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION "-std=c++20")
endif()
find_package(CUDAToolkit 12.0 REQUIRED)

set(CROSS_CUDA_PORTABLE 80-real 80-virtual)
set(CROSS_CUDA_HOPPER 90a-real)
# What every program or library that holds CUDA objects links.
set(CROSS_CUDA_LIBRARIES CUDA::cudart_static CUDA::cublasLt)

# Warnings of the host compiler, passed through nvcc. Not -Wpedantic: nvcc's own output breaks it.
function(cross_cuda_options target)
  target_compile_options(${target} PRIVATE
    $<$<COMPILE_LANGUAGE:CXX>:-Wall;-Wextra;-Wpedantic;-Wshadow>
    $<$<COMPILE_LANGUAGE:CUDA>:-lineinfo;--expt-relaxed-constexpr;-Xcompiler=-Wall,-Wextra,-Wshadow>)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wno-restrict>)
  endif()
  if(CROSS_WERROR)
    target_compile_options(${target} PRIVATE
      $<$<COMPILE_LANGUAGE:CXX>:-Werror> $<$<COMPILE_LANGUAGE:CUDA>:-Werror=all-warnings;-Xcompiler=-Werror>)
  endif()
endfunction()

# cross_cuda_layer(name ARCHITECTURES arch... SOURCES file...): like cross_layer, for files that include CUDA headers.
function(cross_cuda_layer name)
  cmake_parse_arguments(T "" "" "ARCHITECTURES;SOURCES" ${ARGN})
  if(NOT T_SOURCES)
    return()
  endif()
  add_library(cross_${name} OBJECT ${T_SOURCES})
  set_target_properties(cross_${name} PROPERTIES CUDA_ARCHITECTURES "${T_ARCHITECTURES}")
  target_include_directories(cross_${name} PUBLIC ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
  target_include_directories(cross_${name} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
  target_link_libraries(cross_${name} PUBLIC fmt::fmt-header-only)
  cross_cuda_options(cross_${name})
  set_property(GLOBAL APPEND PROPERTY CROSS_LAYERS cross_${name})
endfunction()

# Target gpu_programs: `cross` and all programs that were added to the global property CROSS_GPU_PROGRAMS; their paths
# stand in gpu_programs.txt (test_gpu.sh, bench/gpu.sh and scripts/bundle_gpu.sh read it).
function(cross_gpu_programs)
  get_property(programs GLOBAL PROPERTY CROSS_GPU_PROGRAMS)
  if(TARGET cross_cli)
    list(APPEND programs cross_cli)
  endif()
  add_custom_target(gpu_programs DEPENDS ${programs})
  set(paths)
  foreach(program IN LISTS programs)
    string(APPEND paths "$<TARGET_FILE:${program}>\n")
  endforeach()
  file(GENERATE OUTPUT ${PROJECT_BINARY_DIR}/gpu_programs.txt CONTENT "${paths}")
endfunction()
