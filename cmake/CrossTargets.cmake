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
endif()

function(cross_layer name)
  if(NOT ARGN)
    return()
  endif()
  add_library(cross_${name} OBJECT ${ARGN})
  target_include_directories(cross_${name} PUBLIC
    ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src ${XXHASH_INCLUDE_DIR} ${SLEEF_INCLUDE_DIR})
  target_link_libraries(cross_${name} PUBLIC fmt::fmt-header-only nlohmann_json::nlohmann_json)
  cross_warnings(cross_${name})
  set_property(GLOBAL APPEND PROPERTY CROSS_LAYERS cross_${name})
endfunction()

# cross_test(name LABEL cpu|gpu|slow|fuzz SOURCES ...): a GoogleTest program that may look at internal headers.
function(cross_test name)
  cmake_parse_arguments(T "" "LABEL" "SOURCES" ${ARGN})
  add_executable(${name} ${T_SOURCES})
  target_include_directories(${name} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests
                                             ${XXHASH_INCLUDE_DIR})
  target_link_libraries(${name} PRIVATE cross fmt::fmt-header-only nlohmann_json::nlohmann_json GTest::gtest_main)
  target_compile_definitions(${name} PRIVATE CROSS_SOURCE_DIR="${PROJECT_SOURCE_DIR}")
  cross_warnings(${name})
  add_test(NAME ${name} COMMAND ${name})
  set_tests_properties(${name} PROPERTIES LABELS ${T_LABEL} TIMEOUT 300)
endfunction()
