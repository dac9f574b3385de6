# Every dependency and what it is for; CONTRIBUTING.md says why each was chosen.
# CROSS_DEPENDENCY_DIR: a folder with include/ and lib/ for machines without these packages and without a network
# (scripts/carry_headers.sh fills one). What the system has goes first.
set(CROSS_DEPENDENCY_DIR "" CACHE PATH "Folder with carried headers and libraries")
set(carried_include)
set(carried_lib)
if(CROSS_DEPENDENCY_DIR)
  get_filename_component(carried ${CROSS_DEPENDENCY_DIR} ABSOLUTE BASE_DIR ${PROJECT_SOURCE_DIR})
  set(carried_include ${carried}/include)
  set(carried_lib ${carried}/lib)
endif()

# cross_header_only(target package version header definition...): the package, else its carried headers.
function(cross_header_only target package version header)
  find_package(${package} ${version} QUIET GLOBAL)
  if(TARGET ${target})
    return()
  endif()
  find_path(CROSS_CARRIED_${package} ${header} PATHS ${carried_include} NO_DEFAULT_PATH)
  if(NOT CROSS_CARRIED_${package})
    message(FATAL_ERROR "${package} not found, neither installed nor in CROSS_DEPENDENCY_DIR (${header})")
  endif()
  add_library(${target} INTERFACE IMPORTED GLOBAL)
  target_include_directories(${target} INTERFACE ${CROSS_CARRIED_${package}})
  target_compile_definitions(${target} INTERFACE ${ARGN})
endfunction()

find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)   # the default executor; shared with the dense libraries
cross_header_only(nlohmann_json::nlohmann_json nlohmann_json 3.9 nlohmann/json.hpp) # model headers, plans, --json
cross_header_only(fmt::fmt-header-only fmt "" fmt/format.h FMT_HEADER_ONLY=1)         # text formatting
if(NOT TARGET fmt::fmt)
  add_library(fmt::fmt ALIAS fmt::fmt-header-only) # carried: without the compiled half
endif()
if(CROSS_TOOLS OR CROSS_BENCH)
  cross_header_only(CLI11::CLI11 CLI11 "" CLI/CLI.hpp)                                # options of the command line
endif()
find_path(XXHASH_INCLUDE_DIR xxhash.h PATHS ${carried_include} REQUIRED) # checksums of plans (header-only use)
find_library(SLEEF_LIBRARY sleef PATHS ${carried_lib} REQUIRED)           # exp, tanh, erf in the epilogues
find_path(SLEEF_INCLUDE_DIR sleef.h PATHS ${carried_include} REQUIRED)

if(CROSS_ICU)
  find_package(ICU 60 COMPONENTS i18n uc) # Unicode tables and regular expressions for tokenisers
  if(NOT ICU_FOUND)
    if(NOT CROSS_CUDA)
      message(FATAL_ERROR "ICU not found: tokenisers need its Unicode tables (Debian: libicu-dev)")
    endif()
    message(WARNING "ICU not found: tokenisers of this build take ASCII text only (Debian: libicu-dev)")
    set(CROSS_ICU OFF)
  endif()
endif()

if(CROSS_SENTENCEPIECE)
  find_library(SENTENCEPIECE_LIBRARY sentencepiece) # tokenizer.model files
  find_path(SENTENCEPIECE_INCLUDE_DIR sentencepiece_processor.h)
  if(NOT SENTENCEPIECE_LIBRARY OR NOT SENTENCEPIECE_INCLUDE_DIR)
    if(NOT CROSS_CUDA)
      message(FATAL_ERROR "SentencePiece not found: Llama 2 and Mistral need it (Debian: libsentencepiece-dev)")
    endif()
    message(WARNING "SentencePiece not found: this build refuses tokenizer.model files (Debian: libsentencepiece-dev)")
    set(CROSS_SENTENCEPIECE OFF)
  endif()
endif()
set(CROSS_TEXT_LIBRARIES $<$<BOOL:${CROSS_ICU}>:ICU::i18n> $<$<BOOL:${CROSS_ICU}>:ICU::uc>)
if(CROSS_SENTENCEPIECE)
  list(APPEND CROSS_TEXT_LIBRARIES ${SENTENCEPIECE_LIBRARY})
endif()

if(CROSS_ONEDNN)
  find_package(dnnl QUIET)
  if(NOT dnnl_FOUND)
    message(WARNING "oneDNN not found: the dense fallback uses OpenBLAS only (Debian: libdnnl-dev)")
    set(CROSS_ONEDNN OFF)
  endif()
endif()
if(CROSS_OPENBLAS)
  # The OpenMP flavour where there are several: it shares its threads with oneDNN and with CROSS, while the pthread
  # flavour keeps spinning on the cores that the next product wants.
  find_library(OPENBLAS_LIBRARY openblas
               HINTS /usr/lib/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp)
  find_path(OPENBLAS_INCLUDE_DIR cblas.h
            HINTS /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}/openblas-openmp /usr/include/${CMAKE_LIBRARY_ARCHITECTURE}
            PATH_SUFFIXES openblas)
  if(NOT OPENBLAS_LIBRARY OR NOT OPENBLAS_INCLUDE_DIR)
    message(WARNING "OpenBLAS not found (Debian: libopenblas-openmp-dev)")
    set(CROSS_OPENBLAS OFF)
  endif()
endif()
if(NOT CROSS_ONEDNN AND NOT CROSS_OPENBLAS)
  if(NOT CROSS_CUDA)
    message(FATAL_ERROR "CROSS needs a dense library to compare with and to fall back to: "
                        "install libdnnl-dev or libopenblas-openmp-dev")
  endif()
  message(WARNING "This build compiles and benchmarks CUDA plans only: it has no dense library for CPUs")
endif()
