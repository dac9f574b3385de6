# Writes OUTPUT, a C++ file that holds every profiles/*.json as text.
# Usage: cmake -DOUTPUT=… -DPROFILES="a.json;b.json" -P EmbedProfiles.cmake
set(text "#include <cstddef>\n#include <string_view>\n\nnamespace cross::driver {\n\n")
string(APPEND text "extern const std::string_view shipped_profile_texts[];\n")
string(APPEND text "extern const std::size_t shipped_profile_count;\n\n")
string(APPEND text "const std::string_view shipped_profile_texts[] = {\n")
set(count 0)
foreach(profile IN LISTS PROFILES)
  file(READ ${profile} json)
  string(APPEND text "R\"profile(${json})profile\",\n")
  math(EXPR count "${count} + 1")
endforeach()
string(APPEND text "};\nconst std::size_t shipped_profile_count = ${count};\n\n}  // namespace cross::driver\n")
file(WRITE ${OUTPUT} "${text}")
