# Every dependency and what it is for; CONTRIBUTING.md says why each was chosen.
find_package(Threads REQUIRED)
find_package(OpenMP REQUIRED COMPONENTS CXX)   # the default executor; shared with the dense libraries
find_package(nlohmann_json 3.9 REQUIRED)       # JSON: model headers, plans, profiles, --json
find_package(fmt REQUIRED)                     # text formatting
find_path(XXHASH_INCLUDE_DIR xxhash.h REQUIRED) # checksums of plans (header-only use)
find_library(SLEEF_LIBRARY sleef REQUIRED)     # vectorised exp, tanh, erf in the epilogues
find_path(SLEEF_INCLUDE_DIR sleef.h REQUIRED)

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
  message(FATAL_ERROR "CROSS needs a dense library to compare with and to fall back to: "
                      "install libdnnl-dev or libopenblas-openmp-dev")
endif()
