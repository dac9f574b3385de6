#include "report/well_formed.h"

#include <set>
#include <vector>

namespace cross::testing {
namespace {

class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  std::string run() {
    if (text_.starts_with("<!DOCTYPE html>")) at_ = 15;
    std::size_t roots = 0;
    while (error_.empty() && at_ < text_.size()) {
      if (text_[at_] != '<') {
        character(open_.empty());
      } else if (text_.substr(at_, 2) == "</") {
        end_tag();
      } else {
        roots += open_.empty() ? 1 : 0;
        start_tag();
      }
    }
    if (error_.empty() && !open_.empty()) fail("<" + open_.back() + "> is never closed");
    if (error_.empty() && roots != 1) fail("not one root element");
    return error_;
  }

 private:
  void fail(const std::string& what) {
    const std::size_t begin = at_ > 40 ? at_ - 40 : 0;
    if (error_.empty()) error_ = what + " near: " + std::string(text_.substr(begin, 120));
  }

  static bool is_name(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == ':';
  }
  std::string name() {
    const std::size_t begin = at_;
    while (at_ < text_.size() && is_name(text_[at_])) ++at_;
    if (at_ == begin) fail("a name is missing");
    return std::string(text_.substr(begin, at_ - begin));
  }

  void character(bool space_only) {
    const auto c = static_cast<unsigned char>(text_[at_]);
    if (space_only && c != '\n' && c != ' ') return fail("text outside the root");
    if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f) return fail("a control character");
    if (c == '&') return entity();
    ++at_;
  }
  void entity() {
    const std::size_t end = text_.find(';', at_);
    const std::string_view what = text_.substr(at_, end == std::string_view::npos ? 0 : end - at_ + 1);
    for (const std::string_view known : {"&amp;", "&lt;", "&gt;", "&quot;", "&#39;"})
      if (what == known) {
        at_ = end + 1;
        return;
      }
    fail("an unknown entity");
  }

  void end_tag() {
    at_ += 2;
    const std::string closed = name();
    if (open_.empty() || open_.back() != closed) return fail("</" + closed + "> closes nothing");
    open_.pop_back();
    if (at_ >= text_.size() || text_[at_] != '>') return fail("an end tag without '>'");
    ++at_;
  }

  void start_tag() {
    ++at_;
    const std::string tag = name();
    std::set<std::string> seen;
    while (error_.empty() && at_ < text_.size() && text_[at_] == ' ' && text_.substr(at_, 3) != " />") {
      ++at_;
      const std::string attribute = name();
      if (!seen.insert(attribute).second) return fail(attribute + " is repeated");
      if (text_.substr(at_, 2) != "=\"") return fail(attribute + " has no quoted value");
      at_ += 2;
      const std::size_t begin = at_;
      while (error_.empty() && at_ < text_.size() && text_[at_] != '"') {
        if (text_[at_] == '<') return fail("'<' in an attribute");
        character(false);
      }
      if (attribute == "id" && !ids_.insert(std::string(text_.substr(begin, at_ - begin))).second)
        return fail("an id is repeated");
      ++at_;
    }
    if (text_.substr(at_, 3) == " />") {
      at_ += 3;
    } else if (at_ < text_.size() && text_[at_] == '>') {
      ++at_;
      open_.push_back(tag);
    } else {
      fail("a start tag without '>'");
    }
  }

  std::string_view text_;
  std::size_t at_ = 0;
  std::vector<std::string> open_;
  std::set<std::string> ids_;
  std::string error_;
};

}  // namespace

std::string ill_formed(std::string_view text) { return Reader(text).run(); }

}  // namespace cross::testing
