#include "report/markup.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/quote.h"
#include "cross/error.h"

namespace cross::report {
namespace {

constexpr std::string_view without_content[] = {"br", "col", "hr", "img", "input", "link", "meta", "wbr"};

}  // namespace

std::string escape(std::string_view text) {
  std::string out;
  const std::string printable = base::printable(text);
  for (std::size_t i = 0; i < printable.size(); ++i) {
    const char c = printable[i];
    // U+FFFE and U+FFFF, the only characters that pass as UTF-8 and are none of XML.
    const std::string_view rest = std::string_view(printable).substr(i, 3);
    if (rest == "\xef\xbf\xbe" || rest == "\xef\xbf\xbf") {
      out += rest[2] == '\xbe' ? "\\xfffe" : "\\xffff";
      i += 2;
    } else if (c == '&') {
      out += "&amp;";
    } else if (c == '<') {
      out += "&lt;";
    } else if (c == '>') {
      out += "&gt;";
    } else if (c == '"') {
      out += "&quot;";
    } else if (c == '\'') {
      out += "&#39;";
    } else {
      out += c;
    }
  }
  return out;
}

void Markup::begin(std::string_view tag, const Attributes& attributes) {
  text_ += '<';
  text_ += tag;
  for (const auto& [name, value] : attributes) {
    if (name == "class" && value.empty()) continue;
    text_ += ' ';
    text_ += name;
    text_ += "=\"";
    text_ += escape(value);
    text_ += '"';
  }
}

Markup& Markup::open(std::string_view tag, const Attributes& attributes) {
  begin(tag, attributes);
  text_ += '>';
  open_.emplace_back(tag);
  return *this;
}

Markup& Markup::close() {
  if (open_.empty()) throw InternalError("markup: closes an element that is not open");
  text_ += "</";
  text_ += open_.back();
  text_ += '>';
  open_.pop_back();
  return *this;
}

Markup& Markup::text(std::string_view text) {
  text_ += escape(text);
  return *this;
}

Markup& Markup::element(std::string_view tag, const Attributes& attributes, std::string_view text) {
  if (std::find(std::begin(without_content), std::end(without_content), tag) != std::end(without_content)) {
    if (!text.empty()) throw InternalError(fmt::format("markup: <{}> has no content", tag));
    begin(tag, attributes);
    text_ += " />";
    return *this;
  }
  open(tag, attributes);
  this->text(text);
  return close();
}

Markup& Markup::verbatim(std::string_view tag, std::string_view content) {
  if (content.find_first_of("<&") != std::string_view::npos)
    throw InternalError(fmt::format("markup: <{}> holds '<' or '&'", tag));
  open(tag);
  text_ += content;
  return close();
}

Markup& Markup::add(const Markup& other) {
  text_ += other.str();
  return *this;
}

const std::string& Markup::str() const {
  if (!open_.empty()) throw InternalError(fmt::format("markup: <{}> is still open", open_.back()));
  return text_;
}

}  // namespace cross::report
