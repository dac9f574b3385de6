# cross_layer(name sources...): one object library per layer of the pipeline. The `cross` library collects them
# (src/CMakeLists.txt); which layer may include which is checked by tests/architecture.
function(cross_warnings target)
  target_compile_options(${target} PRIVATE -Wall -Wextra -Wpedantic -Wshadow)
  if(CMAKE_CXX_COMPILER_ID STREQUAL GNU AND CMAKE_CXX_COMPILER_VERSION VERSION_LESS 13)
    target_compile_options(${target} PRIVATE -Wno-restrict)  # false alarms for "text" + std::string (GCC bug 105651)
  endif()
  if(CROSS_WERROR)
    target_compile_options(${target} PRIVATE -Werror)
  endif()
endfunction()

if(CROSS_SANITIZE)
  add_compile_options(-fsanitize=${CROSS_SANITIZE} -fno-omit-frame-pointer -g)
  add_link_options(-fsanitize=${CROSS_SANITIZE})
  if(CROSS_SANITIZE MATCHES thread AND OpenMP_omp_LIBRARY)
    # clang's OpenMP runtime looks there for the tool that tells ThreadSanitizer who waits for whom.
    get_filename_component(openmp_folder ${OpenMP_omp_LIBRARY} DIRECTORY)
    list(APPEND CMAKE_BUILD_RPATH ${openmp_folder})
  endif()
endif()

function(cross_layer name)
  if(NOT ARGN)
    return()
  endif()
  add_library(cross_${name} OBJECT ${ARGN})
  target_include_directories(cross_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${XXHASH_INCLUDE_DIR} ${SLEEF_INCLUDE_DIR})
  target_link_libraries(cross_${name} PUBLIC fmt::fmt nlohmann_json::nlohmann_json)
  cross_warnings(cross_${name})
  set_property(GLOBAL APPEND PROPERTY CROSS_LAYERS cross_${name})
endfunction()

# cross_brief_optimisation(target): for programs whose time is spent in the library. They are half of what a clean build
# compiles, mostly templates of GoogleTest, CLI11 and JSON, and -O1 takes two thirds of the time that -O3 does.
function(cross_brief_optimisation target)
  target_compile_options(${target} PRIVATE $<$<CONFIG:Release,RelWithDebInfo>:-O1>)
endfunction()

# Headers outside this tree that take a second or more to read and that most tests and commands include. Each file still
# includes what it uses: builds with ccache have no precompiled headers. The layers have none: few of their files are
# slow for their headers, and clang-tidy reads them.
set(CROSS_HEAVY_HEADERS <algorithm> <filesystem> <fmt/format.h> <functional> <memory> <nlohmann/json.hpp> <optional> <random>
    <span> <string> <string_view> <vector>)

# cross_precompile(target OWNER [HEADER...]): OWNER precompiles the heavy headers and HEADERs, and every target that names
# it uses the result. The flags of all of them must agree.
function(cross_precompile target owner)
  if(NOT CROSS_PRECOMPILED_HEADERS)
    return()
  endif()
  if(target STREQUAL owner)
    target_precompile_headers(${target} PRIVATE ${ARGN} ${CROSS_HEAVY_HEADERS})
  else()
    target_precompile_headers(${target} REUSE_FROM ${owner})
  endif()
endfunction()

# cross_test(name LABEL cpu|gpu|slow|fuzz SOURCES ...): a GoogleTest program that may look at internal headers.
function(cross_test name)
  cmake_parse_arguments(T "" "LABEL" "SOURCES" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests
                                             ${XXHASH_INCLUDE_DIR})
  target_link_libraries(${name} PRIVATE cross fmt::fmt nlohmann_json::nlohmann_json GTest::gtest_main OpenMP::OpenMP_CXX)
  target_compile_definitions(${name} PRIVATE CROSS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  cross_warnings(${name})
  cross_brief_optimisation(${name})
  cross_precompile(${name} test_headers)
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT 300)
endfunction()
