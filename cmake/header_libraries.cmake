# The header-only libraries, each as an INTERFACE target trefoil::<name>.
#
# A system include folder can't be given to Emscripten: -I/usr/include would bring the machine's own C library
# with it. So every library gets a folder of its own in the build tree, holding one link to just its headers.
# That also keeps the dependency rule honest: a target sees only the libraries it links.

# trefoil_header_library(<name> PROBE <header> PACKAGE <Debian package> [SUFFIXES <folder>...])
# PROBE is the header as sources include it; its first path component is what gets linked.
function(trefoil_header_library name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "" "PROBE;PACKAGE" "SUFFIXES")
  string(TOUPPER "TREFOIL_${name}_INCLUDE_DIR" variable)
  find_path(${variable} "${arg_PROBE}" PATHS /usr/include /usr/local/include PATH_SUFFIXES ${arg_SUFFIXES}
    NO_CMAKE_FIND_ROOT_PATH DOC "Folder which holds ${arg_PROBE}")
  if(NOT ${variable})
    message(FATAL_ERROR
      "${arg_PROBE} was not found. On Debian or Ubuntu: sudo apt-get install -y ${arg_PACKAGE}\n"
      "Elsewhere, pass -D${variable}=<folder which holds ${arg_PROBE}>.")
  endif()

  string(REGEX MATCH "^[^/]+" top "${arg_PROBE}")
  set(folder "${PROJECT_BINARY_DIR}/headers/${name}")
  file(MAKE_DIRECTORY "${folder}")
  file(CREATE_LINK "${${variable}}/${top}" "${folder}/${top}" SYMBOLIC)

  add_library(trefoil_header_${name} INTERFACE)
  add_library(trefoil::${name} ALIAS trefoil_header_${name})
  target_include_directories(trefoil_header_${name} SYSTEM INTERFACE "$<BUILD_INTERFACE:${folder}>")
endfunction()

trefoil_header_library(protozero PROBE protozero/pbf_reader.hpp PACKAGE libprotozero-dev)
trefoil_header_library(flatbuffers PROBE flatbuffers/flatbuffers.h PACKAGE libflatbuffers-dev)
if(NOT EMSCRIPTEN)
  trefoil_header_library(simde PROBE simde/wasm/simd128.h PACKAGE libsimde-dev)
endif()
if(TREFOIL_TESTS)
  trefoil_header_library(doctest PROBE doctest/doctest.h PACKAGE doctest-dev)
  # What our own float products are checked against and compared with; nothing that ships uses it.
  trefoil_header_library(eigen PROBE Eigen/Core PACKAGE libeigen3-dev SUFFIXES eigen3)
endif()
