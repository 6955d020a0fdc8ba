# src/format/trefoil.fbs, the model file's schema, becomes <build>/generated/format/trefoil_generated.h.
# The target trefoil_schema exists in any case, so that presets can name it.
set(_schema "${PROJECT_SOURCE_DIR}/src/format/trefoil.fbs")
add_custom_target(trefoil_schema)
if(EXISTS "${_schema}")
  find_program(TREFOIL_FLATC flatc NO_CMAKE_FIND_ROOT_PATH)
  if(NOT TREFOIL_FLATC)
    message(FATAL_ERROR "flatc was not found. On Debian or Ubuntu: sudo apt-get install -y flatbuffers-compiler")
  endif()
  set(_generated "${PROJECT_BINARY_DIR}/generated")
  add_custom_command(
    OUTPUT "${_generated}/format/trefoil_generated.h"
    COMMAND "${TREFOIL_FLATC}" --cpp --cpp-std c++17 --scoped-enums -o "${_generated}/format" "${_schema}"
    DEPENDS "${_schema}"
    VERBATIM)
  add_custom_target(trefoil_schema_header DEPENDS "${_generated}/format/trefoil_generated.h")
  add_dependencies(trefoil_schema trefoil_schema_header)
  add_dependencies(trefoil_format trefoil_schema_header)

  get_target_property(_type trefoil_format TYPE)
  set(_scope PUBLIC)
  if(_type STREQUAL "INTERFACE_LIBRARY")
    set(_scope INTERFACE)
  endif()
  target_include_directories(trefoil_format SYSTEM ${_scope} "$<BUILD_INTERFACE:${_generated}>")
endif()
