# Puts the page together and writes it as a C++ header, byte by byte: string literals of that size are
# beyond what compilers promise.
# cmake -D PAGE=<folder> -D OUTPUT=<header> -P embed.cmake
foreach(name IN ITEMS page.html style.css vendor/d3.min.js)
  file(READ ${PAGE}/${name} text)
  string(MAKE_C_IDENTIFIER ${name} variable)
  set(${variable} "${text}")
endforeach()
set(script "")
foreach(name IN ITEMS common graph timeline lanes run overview main)
  file(READ ${PAGE}/script/${name}.js text)
  string(APPEND script "${text}")
endforeach()

set(page "${page_html}")
foreach(part IN ITEMS "style|style_css" "d3|vendor_d3_min_js" "script|script")
  string(REPLACE "|" ";" part "${part}")
  list(GET part 0 place)
  list(GET part 1 variable)
  string(REPLACE "{{${place}}}" "${${variable}}" page "${page}")
endforeach()

file(WRITE ${OUTPUT}.page "${page}")
file(READ ${OUTPUT}.page bytes HEX)
file(REMOVE ${OUTPUT}.page)
string(REGEX REPLACE "(..)" "0x\\1," bytes "${bytes}")
string(REGEX REPLACE "(................................................................................)" "\\1\n" bytes "${bytes}")
file(WRITE ${OUTPUT} "// Made by CMake from harness/report/page.
#pragma once

namespace railyard::harness {
inline constexpr char kReportPageData[] = \"{{data}}\";
inline constexpr unsigned char kReportPage[] = {
${bytes}};
}
")
