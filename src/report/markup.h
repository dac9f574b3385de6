// Markup that is well-formed both as HTML and as XML: tags close in order, everything else is escaped.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace cross::report {

/// `text` for element content and for attributes in double quotes. What is no character of XML (control
/// characters, bytes that are not UTF-8) stands as `\xNN`: names come from files.
std::string escape(std::string_view text);

/// Names and values; values are escaped when written, and a class without a name is left out.
using Attributes = std::vector<std::pair<std::string_view, std::string>>;

class Markup {
 public:
  Markup& open(std::string_view tag, const Attributes& attributes = {});
  /// Closes the innermost open element.
  Markup& close();
  Markup& text(std::string_view text);
  /// <tag …>text</tag>; elements that HTML gives no content (img, meta, …) are written as <tag … />.
  Markup& element(std::string_view tag, const Attributes& attributes = {}, std::string_view text = {});
  /// An element with what `content` writes into it.
  template <class Content>
  Markup& inside(std::string_view tag, const Attributes& attributes, Content&& content) {
    open(tag, attributes);
    content();
    return close();
  }
  /// A style sheet or a script of ours: neither '<' nor '&', which HTML and XML read differently there.
  Markup& verbatim(std::string_view tag, std::string_view content);
  /// Finished markup.
  Markup& add(const Markup& other);

  std::size_t size() const { return text_.size(); }
  /// InternalError while an element is open.
  const std::string& str() const;

 private:
  void begin(std::string_view tag, const Attributes& attributes);

  std::string text_;
  std::vector<std::string> open_;
};

}  // namespace cross::report
