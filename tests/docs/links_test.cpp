// Links between the documents lead somewhere: to files that exist, and to headings that stand in them.
#include <gtest/gtest.h>

#include <cctype>
#include <filesystem>
#include <fstream>
#include <regex>
#include <set>
#include <string>
#include <vector>

namespace cross {
namespace {

namespace fs = std::filesystem;

std::vector<fs::path> documents() {
  const fs::path root = CROSS_SOURCE_DIR;
  std::vector<fs::path> all = {root / "README.md", root / "CONTRIBUTING.md", root / "CHANGELOG.md",
                               root / "python/README.md"};
  for (const auto& entry : fs::recursive_directory_iterator(root / "docs"))
    if (entry.path().extension() == ".md") all.push_back(entry.path());
  return all;
}

/// Lines outside of fenced blocks.
std::vector<std::string> prose(const fs::path& document) {
  std::ifstream file(document);
  EXPECT_TRUE(file) << document;
  std::vector<std::string> lines;
  bool fenced = false;
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("```")) fenced = !fenced;
    if (!fenced) lines.push_back(line);
  }
  return lines;
}

/// The name by which a heading is linked: lower case, words joined by "-", no other signs.
std::string anchor(const std::string& heading) {
  std::string name;
  for (const char c : heading)
    if (c == ' ' || c == '-')
      name += '-';
    else if (std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_')
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return name;
}

std::set<std::string> anchors(const fs::path& document) {
  std::set<std::string> all;
  for (const std::string& line : prose(document))
    if (const auto text = line.find_first_not_of('#'); text != 0 && text < line.size() && line[text] == ' ')
      all.insert(anchor(line.substr(text + 1)));
  return all;
}

TEST(Documents, LinksLeadSomewhere) {
  const std::regex link(R"(\]\(([^)\s]+)\))");
  int links = 0;
  for (const fs::path& document : documents())
    for (const std::string& line : prose(document))
      for (std::sregex_iterator at(line.begin(), line.end(), link), end; at != end; ++at) {
        const std::string target = (*at)[1];
        if (target.find("://") != std::string::npos) continue;
        ++links;
        const auto hash = target.find('#');
        const std::string file = target.substr(0, hash);
        const fs::path to = file.empty() ? document : document.parent_path() / file;
        EXPECT_TRUE(fs::exists(to)) << document << ": " << target;
        if (hash != std::string::npos && fs::exists(to)) {
          EXPECT_TRUE(anchors(to).contains(target.substr(hash + 1))) << document << ": " << target;
        }
      }
  EXPECT_GT(links, 50);
}

}  // namespace
}  // namespace cross
